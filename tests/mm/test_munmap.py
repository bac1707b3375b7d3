"""Taking mappings away: munmap, MADV_DONTNEED, exit; what a device holds stays."""

from __future__ import annotations

import errno

import pytest

from tests.common import ALL_POLICIES, MMAP_SEM_HELD, TinyWorld, one_page, run_steps, two_mms
from tests.each import each
from uemu.abi import MADV_DONTNEED, PAGE_SIZE
from uemu.errors import Fault
from uemu.events import MmGone, PageFreed, Unmapped
from uemu.step import run

every_policy = each("policy", ALL_POLICIES)


@every_policy
def test_munmap_frees_the_frame_and_the_address(policy: str) -> None:
    world, parent, buf = one_page(policy)
    pfn = parent.pte(buf).pfn
    parent.munmap(buf)
    assert world.log(PageFreed) == [PageFreed(pfn)]
    assert world.log(Unmapped)[-1][2:] == (buf, buf + PAGE_SIZE)
    with pytest.raises(Fault):
        parent.load(buf)
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("policy", [name for name in ALL_POLICIES if name != MMAP_SEM_HELD])
def test_a_frame_a_device_holds_outlives_munmap(policy: str) -> None:
    world, parent, buf = one_page(policy)
    transfer = parent.read_disk(buf)
    parent.munmap(buf)
    assert world.log(PageFreed) == []
    world.device_writes(transfer, b"D")
    world.complete(transfer)
    assert len(world.log(PageFreed)) == 1
    assert world.kinds() == set()
    world.kernel.check(at_rest=True)


@every_policy
def test_munmap_in_one_process_leaves_the_other_its_page(policy: str) -> None:
    world, parent, child, buf = two_mms(policy)
    parent.munmap(buf)
    assert child.load(buf) == b"I"
    world.kernel.check(at_rest=True)


def test_munmap_of_a_hole_is_no_error() -> None:
    world, parent, buf = one_page()
    parent.munmap(buf + PAGE_SIZE)
    assert parent.load(buf) == b"I"
    assert world.log(Unmapped) == []


def test_munmap_of_the_middle_leaves_both_ends() -> None:
    parent = TinyWorld("linux-6.5").process()
    buf = parent.mmap(3)
    parent.store(buf, b"x" * 3 * PAGE_SIZE)
    parent.munmap(buf + PAGE_SIZE)
    assert parent.load(buf) == parent.load(buf + 2 * PAGE_SIZE) == b"x"
    with pytest.raises(Fault):
        parent.load(buf + PAGE_SIZE)


def test_a_frame_is_freed_only_after_the_flush() -> None:
    world, parent, buf = one_page()
    other = world.cpu_of(parent.mm)
    op = world.kernel.munmap(parent.cpu, parent.mm, buf, PAGE_SIZE)
    while next(op).fn != "flush_tlb_others":
        pass
    assert parent.mm.pte(buf).peek() is None
    assert world.log(PageFreed) == []
    run(op)
    assert len(world.log(PageFreed)) == 1
    assert other in world.mmu.cpus_of(parent.mm.id)


@every_policy
def test_madv_dontneed_drops_the_contents_and_keeps_the_mapping(policy: str) -> None:
    world, parent, child, buf = two_mms(policy)
    parent.madvise(buf, MADV_DONTNEED)
    assert (parent.load(buf), child.load(buf)) == (b"\0", b"I")
    world.kernel.check(at_rest=True)


def test_madv_dontneed_of_a_hole_is_refused() -> None:
    _, parent, buf = one_page()
    with pytest.raises(Fault) as caught:
        parent.madvise(buf, MADV_DONTNEED, nr_pages=2)
    assert caught.value.errno == errno.ENOMEM
    assert parent.mm.mmap_lock.is_free()


@every_policy
def test_exit_leaves_nothing_behind(policy: str) -> None:
    world, parent, child, buf = two_mms(policy)
    parent.store(buf, b"P")
    parent.exit()
    child.exit()
    assert world.kernel.mech.pages == {}
    assert world.kernel.mech.mms == {}
    assert [event.mm for event in world.log(MmGone)] == [parent.mm.id, child.mm.id]


@every_policy
def test_exit_in_flight_keeps_the_frame_until_the_device_is_done(policy: str) -> None:
    world, parent, buf = one_page(policy)
    transfer = parent.read_disk(buf)
    parent.exit()
    world.kernel.check(at_rest=True)
    world.device_writes(transfer, b"D")
    world.complete(transfer)
    assert world.kernel.mech.pages == {}
    assert world.kinds() == set()


def test_exit_flushes_nobody_when_nobody_else_runs() -> None:
    world, parent, _ = one_page()
    _, taken = run_steps(world.kernel.exit_mm(parent.cpu, parent.mm))
    assert taken == ["exit_mmap", "zap_pte_range"]


def test_munmap_waits_for_an_entry_that_somebody_else_replaces() -> None:
    """Who breaks COW in another's page table clears the entry, flushes, and sets the new one."""
    world, parent, buf = one_page()
    mm, device = parent.mm, world.device
    mm.page_table_lock.acquire(device)
    pte = parent.pte(buf)
    world.kernel.mech.ptep_get_and_clear(device, mm, buf)
    op = world.kernel.munmap(parent.cpu, mm, buf, PAGE_SIZE)
    next(op)
    step = next(op)
    assert (step.fn, step.is_enabled()) == ("pte_offset_map_lock", False)
    world.kernel.mech.set_pte_at(device, mm, buf, pte)
    mm.page_table_lock.release(device)
    assert step.is_enabled()
    run(op)
    assert world.log(PageFreed) == [PageFreed(pte.pfn)]
    world.kernel.check(at_rest=True)
