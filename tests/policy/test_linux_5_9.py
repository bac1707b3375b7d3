"""linux-5.9: a write fault asks page_count; fork copies what may be pinned."""

from __future__ import annotations

import pytest

from tests.common import one_page, two_mms
from uemu.abi import GUP_PIN_COUNTING_BIAS, PROT_READ, PROT_WRITE, Foll
from uemu.dma.engine import Io, Transfer
from uemu.events import PageCopied
from uemu.policy.linux_5_8 import PINNING
from uemu.policy.registry import make_policy

POLICY = "linux-5.9"
RW = PROT_READ | PROT_WRITE


@pytest.mark.parametrize("api", ["o_direct", "vmsplice"])
def test_transfers_get(api: str) -> None:
    assert make_policy(POLICY).gup_kind(api, write=False).foll == Foll.GET


def test_who_copies_the_memory_of_another_process_pins_it_meanwhile() -> None:
    for write, foll in ((False, Foll.PIN), (True, Foll.PIN | Foll.WRITE)):
        assert make_policy(POLICY).gup_kind("process_vm", write=write).foll == foll
        assert Foll.PIN not in make_policy("linux-4.19").gup_kind("process_vm", write=write).foll


@pytest.mark.parametrize("api", PINNING)
def test_registrations_pin(api: str) -> None:
    foll = make_policy(POLICY).gup_kind(api, write=True).foll
    assert foll == Foll.PIN | Foll.LONGTERM | Foll.WRITE


@pytest.mark.parametrize(
    ("policy", "kinds"),
    [
        ("linux-5.9", {"lost-dma-write"}),
        ("linux-2.6.29", set()),
        ("linux-5.19", set()),
        ("linux-6.5", set()),
    ],
)
@pytest.mark.parametrize("api", ["o_direct", "io_uring"])
def test_mprotect_to_read_only_and_back_loses_a_held_page(
    policy: str, kinds: set[str], api: str
) -> None:
    """Ground truth, case a3: lost on 5.10 with no fork at all, for pins and gets alike."""
    world, parent, buf = one_page(policy)
    io: Io = parent.register(buf, api=api) if api == "io_uring" else parent.read_disk(buf)
    parent.mprotect(buf, PROT_READ)
    parent.mprotect(buf, RW)
    parent.store(buf, b"P")
    world.device_writes(io, b"D", start=1)
    if isinstance(io, Transfer):
        world.complete(io)
    assert world.kinds() == kinds
    world.kernel.check(at_rest=True)


def test_without_mprotect_nothing_is_lost() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    parent.store(buf, b"P")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert world.kinds() == set()


def test_any_reference_makes_the_writer_copy() -> None:
    world, parent, child, buf = two_mms(POLICY)
    pipe = parent.write_disk(buf, api="vmsplice")
    child.exit()
    held = parent.page(buf)
    parent.store(buf, b"P")
    assert parent.page(buf) is not held
    assert world.device_reads(pipe) == b"I"
    assert world.kinds() == set()


def test_a_page_nobody_else_refers_to_is_reused() -> None:
    world, parent, child, buf = two_mms(POLICY)
    page = parent.page(buf)
    child.exit()
    parent.store(buf, b"P")
    assert parent.page(buf) is page
    assert world.log(PageCopied) == []


def test_fork_copies_a_pinned_page_and_leaves_the_parents_entry_alone() -> None:
    world, parent, buf = one_page(POLICY)
    registered = parent.register(buf)
    before = parent.pte(buf)
    child = parent.fork()
    assert parent.pte(buf) == before
    assert child.page(buf) is not parent.page(buf)
    parent.store(buf, b"P")
    world.device_writes(registered, b"D", start=1)
    assert (parent.load(buf, 2), child.load(buf, 2)) == (b"PD", b"II")
    assert world.kinds() == set()


def test_fork_shares_a_page_with_a_get() -> None:
    world, parent, buf = one_page(POLICY)
    parent.read_disk(buf)
    assert parent.fork().page(buf) is parent.page(buf)
    assert world.log(PageCopied) == []


def test_fork_shares_a_page_whose_pin_is_gone() -> None:
    world, parent, buf = one_page(POLICY)
    world.release(parent.register(buf))
    assert parent.mm.has_pinned.peek()
    assert parent.fork().page(buf) is parent.page(buf)


@pytest.mark.parametrize("has_pinned", [True, False])
def test_1024_gets_look_like_a_pin_in_an_mm_that_pinned_before(has_pinned: bool) -> None:
    world, parent, buf = one_page(POLICY)
    if has_pinned:
        world.release(parent.register(buf))
    page = parent.page(buf)
    page.refcount.value += GUP_PIN_COUNTING_BIAS
    child = parent.fork()
    assert (child.page(buf) is not page) is has_pinned


def test_gup_fast_drops_a_page_whose_entry_moved() -> None:
    world, parent, buf = one_page("linux-6.5")
    other = world.cpu_of(parent.mm)
    call = world.hooks.gup_kind("o_direct", write=True)
    op = world.hooks.gup_fast_pte(other, parent.mm, buf, call.foll)
    while next(op).what != "pte_same ?":
        pass
    assert parent.page(buf).refcount.peek() == 1 + GUP_PIN_COUNTING_BIAS
    parent.mprotect(buf, PROT_READ)
    assert next(op, None) is None
    assert parent.page(buf).refcount.peek() == 1


def test_a_read_only_registration_of_a_shared_page_goes_stale() -> None:
    """What PG_anon_exclusive repaired; see `test_linux_5_19`."""
    world, parent, _, buf = two_mms(POLICY)
    vfio = parent.register(buf, writable=False, api="vfio")
    parent.store(buf, b"P")
    assert world.device_reads(vfio) == b"I"
    assert world.kinds() == {"stale-dma-read"}


def test_a_kept_reference_reads_nothing_the_other_stores_later() -> None:
    world, parent, child, buf = two_mms(POLICY)
    pipe = child.write_disk(buf, api="vmsplice")
    child.munmap(buf)
    parent.store(buf, b"S")
    assert world.device_reads(pipe) == b"I"
    assert world.kinds() == set()
