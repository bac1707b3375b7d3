"""linux-4.19: the rules of 2.6.29, and what gup learned since."""

from __future__ import annotations

import pytest

from tests.common import TinyWorld, one_page, two_mms
from uemu.abi import MADV_WIPEONFORK, PROT_READ, Foll
from uemu.events import PageCopied
from uemu.mm.grab import gup_release
from uemu.mm.gup import hold_user_pages
from uemu.mm.hooks import APIS, GupCall
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.linux_4_19 import Linux4_19
from uemu.policy.registry import make_policy
from uemu.step import run

POLICY = "linux-4.19"


def test_write_fault_and_fork_decide_as_in_2_6_29() -> None:
    for rule in ("copy_present_pte", "reuse_anon_page", "reuse_swap_page"):
        assert getattr(Linux4_19, rule) is getattr(Linux2_6_29, rule)


@pytest.mark.parametrize("api", APIS)
def test_everything_is_a_get(api: str) -> None:
    foll = make_policy(POLICY).gup_kind(api, write=True).foll
    assert foll == Foll.GET | Foll.WRITE


def test_a_read_gup_of_untouched_memory_maps_the_zero_page() -> None:
    """2.6.29 held it without mapping it; to write the memory later goes stale under both."""
    world = TinyWorld(POLICY)
    parent = world.process()
    fresh = parent.mmap()
    region = parent.register(fresh, writable=False, api="vfio")
    assert parent.page(fresh).reserved
    parent.store(fresh, b"P")
    assert world.device_reads(region) == b"\0"
    assert world.kinds() == {"stale-dma-read"}
    world.release(region)
    world.kernel.check(at_rest=True)


def test_a_wiped_page_is_neither_shared_nor_lost() -> None:
    world, parent, buf = one_page(POLICY)
    parent.madvise(buf, MADV_WIPEONFORK)
    read = parent.read_disk(buf)
    child = parent.fork()
    parent.store(buf, b"P")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert (parent.load(buf, 2), child.load(buf, 2)) == (b"PD", b"\0\0")
    assert world.kinds() == set()


def test_foll_force_breaks_cow_and_looks_again_for_the_dirty_copy() -> None:
    world, parent, child, buf = two_mms(POLICY)
    parent.mprotect(buf, PROT_READ)
    call = GupCall(Foll.GET | Foll.WRITE | Foll.FORCE, fast=False)
    (page,) = run(hold_user_pages(world.kernel.mech, parent.cpu, parent.mm, buf, 1, call))
    assert page is not child.page(buf)
    assert (parent.pte(buf).write, parent.pte(buf).dirty) == (False, True)
    gup_release(world.kernel.mech, parent.cpu, page, call.foll)
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize(
    ("foll", "follows"),
    [
        (Foll.WRITE | Foll.FORCE | Foll.COW, True),
        (Foll.WRITE | Foll.FORCE, False),  # dirty from before: no COW cycle in this call
        (Foll.WRITE | Foll.COW, False),
    ],
)
def test_a_read_only_entry_is_followed_to_write_after_a_forced_cow_cycle_only(
    foll: Foll, follows: bool
) -> None:
    _, parent, buf = one_page(POLICY)
    parent.mprotect(buf, PROT_READ)
    assert parent.pte(buf).dirty
    assert Linux4_19().can_follow_write_pte(parent.pte(buf), foll) is follows


def test_gup_fast_drops_a_page_whose_entry_moved() -> None:
    world, parent, buf = one_page(POLICY)
    other = world.cpu_of(parent.mm)
    op = world.hooks.gup_fast_pte(other, parent.mm, buf, Foll.GET | Foll.WRITE)
    while next(op).what != "pte_same ?":
        pass
    assert parent.page(buf).refcount.peek() == 2
    parent.mprotect(buf, PROT_READ)
    assert next(op, None) is None
    assert parent.page(buf).refcount.peek() == 1


def test_a_kept_reference_reads_what_the_other_stores_later() -> None:
    """CVE-2020-29374, the reason for 17839856fd58; see `test_linux_5_8`."""
    world, parent, child, buf = two_mms(POLICY)
    pipe = child.write_disk(buf, api="vmsplice")
    child.munmap(buf)
    parent.store(buf, b"S")
    assert world.device_reads(pipe) == b"S"
    assert world.kinds() == {"secret-leak"}


def test_nothing_is_copied_for_a_reference_alone() -> None:
    world, parent, child, buf = two_mms(POLICY)
    parent.write_disk(buf)
    child.exit()
    parent.store(buf, b"P")
    assert world.log(PageCopied) == []
