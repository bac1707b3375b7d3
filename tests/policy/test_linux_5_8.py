"""linux-5.8: gup breaks COW even to read; write fault and fork are those of 4.19."""

from __future__ import annotations

import pytest

from tests.common import TinyWorld, one_page, two_mms
from uemu.abi import GUP_PIN_COUNTING_BIAS, PROT_READ
from uemu.events import PageCopied
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.linux_5_8 import PINNING, Linux5_8
from uemu.policy.registry import make_policy

POLICY = "linux-5.8"


def test_write_fault_and_fork_decide_as_in_2_6_29() -> None:
    for rule in ("copy_present_pte", "reuse_anon_page", "reuse_swap_page"):
        assert getattr(Linux5_8, rule) is getattr(Linux2_6_29, rule)


@pytest.mark.parametrize("api", ["o_direct", "vmsplice", *PINNING])
def test_every_api_takes_its_reference_as_in_5_9(api: str) -> None:
    for write in (True, False):
        ours = make_policy(POLICY).gup_kind(api, write=write)
        assert ours == make_policy("linux-5.9").gup_kind(api, write=write)


@pytest.mark.parametrize(("policy", "copies"), [(POLICY, 1), ("linux-4.19", 0), ("linux-5.9", 0)])
@pytest.mark.parametrize("api", ["o_direct", "vmsplice", "vfio"])
def test_a_read_gup_of_a_shared_page_breaks_cow(policy: str, copies: int, api: str) -> None:
    world, parent, child, buf = two_mms(policy)
    if api == "vfio":
        parent.register(buf, writable=False, api=api)
    else:
        parent.write_disk(buf, api=api)
    assert len(world.log(PageCopied)) == copies
    assert (parent.page(buf) is not child.page(buf)) is bool(copies)


def test_a_read_gup_of_a_writable_page_copies_nothing_and_goes_fast() -> None:
    world, parent, buf = one_page(POLICY)
    parent.write_disk(buf)
    assert world.log(PageCopied) == []
    assert repr(parent.page(buf)) == "<pfn 0 2/1>"


def test_a_kept_reference_reads_nothing_the_other_stores_later() -> None:
    """CVE-2020-29374; the negative control is in `test_linux_4_19`."""
    world, parent, child, buf = two_mms(POLICY)
    pipe = child.write_disk(buf, api="vmsplice")
    child.munmap(buf)
    parent.store(buf, b"S")
    assert world.device_reads(pipe) == b"I"
    assert world.kinds() == set()


def test_a_read_only_long_term_reference_taken_after_fork_stays_current() -> None:
    world, parent, child, buf = two_mms(POLICY)
    vfio = parent.register(buf, writable=False, api="vfio")
    parent.store(buf, b"P")
    assert world.device_reads(vfio) == b"P"
    assert child.load(buf) == b"I"
    assert world.kinds() == set()


def test_a_read_only_reference_to_untouched_memory_holds_a_page_of_its_own() -> None:
    world = TinyWorld(POLICY)
    parent = world.process()
    fresh = parent.mmap()
    vfio = parent.register(fresh, writable=False, api="vfio")
    assert parent.page(fresh).anon
    parent.store(fresh, b"P")
    assert world.device_reads(vfio) == b"P"
    assert world.kinds() == set()
    world.release(vfio)
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("touched", [True, False])
def test_in_an_area_without_vm_write_the_forced_break_ends_and_stays_read_only(
    touched: bool,
) -> None:
    """FOLL_COW and a dirty entry: arcangeli-2009-v2 as posted never returned here."""
    world, parent, child, buf = two_mms(POLICY)
    if not touched:
        buf = parent.mmap()
    parent.mprotect(buf, PROT_READ)
    write = parent.write_disk(buf)
    assert not parent.pte(buf).write
    if touched:
        assert parent.page(buf) is not child.page(buf)
    world.device_reads(write)
    world.complete(write)
    assert world.kinds() == set()
    world.kernel.check(at_rest=True)


def test_the_last_of_a_shared_page_breaks_cow_without_a_copy() -> None:
    world, parent, child, buf = two_mms(POLICY)
    child.exit()
    parent.write_disk(buf)
    assert world.log(PageCopied) == []
    assert parent.pte(buf).write


@pytest.mark.parametrize("api", PINNING)
def test_fork_shares_what_is_pinned_and_the_pin_is_lost(api: str) -> None:
    """What 70e806e4e645 repaired in v5.9."""
    world, parent, buf = one_page(POLICY)
    registered = parent.register(buf, api=api)
    assert parent.page(buf).refcount.peek() == 1 + GUP_PIN_COUNTING_BIAS
    child = parent.fork()
    assert child.page(buf) is parent.page(buf)
    parent.store(buf, b"P")
    world.device_writes(registered, b"D", start=1)
    assert parent.load(buf + 1) == b"I"
    assert "lost-dma-write" in world.kinds()
