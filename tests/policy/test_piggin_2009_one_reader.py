"""piggin-2009-one-reader: who is recorded has the direction, and who was there before is not."""

from __future__ import annotations

import pytest

import uemu
from tests.common import one_page, two_mms
from uemu.abi import PAGE_SIZE, PROT_READ, Foll
from uemu.explore import explore
from uemu.mm.gup import lockless_pages_from_mm
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.policy.piggin_2009_one_reader import READER, Piggin2009OneReader
from uemu.policy.torvalds_2009_directed_cow import Torvalds2009DirectedCow
from uemu.scenario.actions import (
    Complete,
    DeviceLoads,
    DirectWrite,
    Fork,
    Register,
    Release,
    Signal,
    Store,
    WaitFor,
)
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import SECTOR, Scenario, Script, Stage, map_and_fill
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, run

POLICY = "piggin-2009-one-reader"


def test_the_childs_read_turns_the_direction_and_the_parents_store_leaves_the_page() -> None:
    world, parent, child, buf = two_mms(POLICY)
    shared = parent.page(buf)
    write = child.write_disk(buf)
    parent.store(buf, b"P")
    assert child.page(buf) is shared
    assert parent.page(buf) is not shared
    assert world.device_reads(write) == b"I"
    child.store(buf, b"C")
    assert child.page(buf) is shared
    assert world.kinds() == set()


def test_the_readers_own_store_copies_for_the_first_owner() -> None:
    world, parent, child, buf = two_mms(POLICY)
    shared = parent.page(buf)
    child.write_disk(buf)
    child.store(buf, b"C")
    assert child.page(buf) is shared
    assert parent.page(buf) is not shared
    assert (parent.load(buf), child.load(buf)) == (b"I", b"C")
    world.kernel.check(at_rest=False)


def test_without_a_reader_the_first_owner_has_the_direction() -> None:
    _, parent, child, buf = two_mms(POLICY)
    shared = parent.page(buf)
    child.store(buf, b"C")
    assert parent.page(buf) is shared


def test_a_second_reader_gets_a_page_of_his_own_and_the_first_may_read_again() -> None:
    world, parent, child, buf = two_mms(POLICY)
    first = parent.write_disk(buf)
    again = parent.write_disk(buf)
    other = child.write_disk(buf)
    assert first.segments[0].pfn == again.segments[0].pfn == parent.pte(buf).pfn
    assert other.segments[0].pfn == child.pte(buf).pfn != parent.pte(buf).pfn
    for transfer in (first, again, other):
        world.complete(transfer)
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("readers", [1, 2])
def test_without_vm_write_a_read_gup_returns(readers: int) -> None:
    world, parent, child, buf = two_mms(POLICY)
    child.mprotect(buf, PROT_READ)
    if readers == 2:
        parent.write_disk(buf)
    world.complete(child.write_disk(buf))
    assert not child.pte(buf).write
    assert (child.page(buf) is parent.page(buf)) is (readers == 1)


def test_a_read_gup_fast_of_a_write_protected_page_goes_slow() -> None:
    world, parent, _, buf = two_mms(POLICY)
    mech = world.kernel.mech
    assert run(lockless_pages_from_mm(mech, parent.cpu, parent.mm, [buf], Foll.GET)) == []
    parent.store(buf, b"P")
    held = run(lockless_pages_from_mm(mech, parent.cpu, parent.mm, [buf], Foll.GET))
    assert held == [parent.page(buf)]


def test_the_record_outlives_the_read_and_the_reader() -> None:
    world, parent, child, buf = two_mms(POLICY)
    world.complete(child.write_disk(buf))
    child.exit()
    shared = parent.page(buf)
    assert shared.word(READER).peek() == child.mm.id + 1
    parent.store(buf, b"P")
    assert parent.page(buf) is not shared
    world.kernel.check(at_rest=True)


# What it does not know of -------------------------------------------------------------------


def test_a_write_from_before_fork_is_lost_when_the_child_reads_the_page() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    child = parent.fork()
    child.write_disk(buf)
    parent.store(buf, b"P")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert "lost-dma-write" in world.kinds()


def test_and_a_read_from_before_fork_gets_what_the_child_stores() -> None:
    world, parent, buf = one_page(POLICY)
    write = parent.write_disk(buf)
    child = parent.fork()
    child.write_disk(buf)
    child.store(buf, b"C")
    assert world.device_reads(write) == b"C"
    assert world.kinds() == {"foreign-dma-read"}


# In every order ---------------------------------------------------------------------------------


def _parent(stage: Stage) -> Script:
    yield Fork("child")
    yield Signal("forked")
    yield Store(stage.buf, b"P")


def _reads(stage: Stage) -> Script:
    yield WaitFor("forked")
    write = yield DirectWrite(stage.buf, SECTOR)
    yield Complete(write)


def _one_page(stage: Stage) -> Script:
    yield from map_and_fill(stage, nr_pages=1)


def _child_reads(stage: Stage) -> Script:
    write = yield DirectWrite(stage.buf, SECTOR)
    yield Complete(write)


CHILD_READS = Scenario(
    "child-reads", "fork; the child's page is written to a disk while the parent stores",
    _one_page, {"cpu": _parent}, {"child": _child_reads}, "cpu child cpu child",
)  # fmt: skip


def _child_stores(stage: Stage) -> Script:
    yield Store(stage.buf, b"C")


PARENT_READS = Scenario(
    "parent-reads", "fork; the parent's page is written to a disk while the child stores",
    _one_page,
    {"cpu": _parent, "io": _reads}, {"child": _child_stores}, "cpu cpu io child io",
)  # fmt: skip


@pytest.mark.parametrize("scenario", [CHILD_READS, PARENT_READS], ids=lambda each: each.name)
def test_a_read_after_fork_is_its_holders_in_every_order(scenario: Scenario) -> None:
    found = explore(lambda: SimulatedWorld(scenario, POLICY))
    assert found.exhaustive
    assert found.verdicts == {}


class NobodyIsRecorded(Piggin2009OneReader):
    """Directed COW as L. Torvalds has it."""

    follow_page_pte = Torvalds2009DirectedCow.follow_page_pte


class SecondReadersTakeThePage(Piggin2009OneReader):
    """Whoever reads last is recorded."""

    def may_read(self, cpu: Cpu, mm: MmStruct, page: Page) -> bool:
        return True


class TheRecordNeedsAnEntry(Piggin2009OneReader):
    """Who has unmapped the page has no say."""

    def may_keep(self, cpu: Cpu, mm: MmStruct, page: Page) -> bool:
        return True


class FastReadsAreNotRecorded(Piggin2009OneReader):
    """gup-fast takes write-protected pages, without a lock or a record."""

    gup_fast_look = Torvalds2009DirectedCow.gup_fast_look


class TheReaderIsMoved(Piggin2009OneReader):
    """Who was recorded after the owner looked gets a copy all the same."""

    def maps(self, cpu: Cpu, mm: MmStruct, base: int, page: Page) -> Pte | None:
        return Torvalds2009DirectedCow.maps(self, cpu, mm, base, page)


@pytest.mark.parametrize(
    ("mutant", "scenario", "kind"),
    [
        (NobodyIsRecorded, "both-pinned-for-read", "foreign-dma-read"),
        (SecondReadersTakeThePage, "both-pinned-for-read", "foreign-dma-read"),
        (TheRecordNeedsAnEntry, "vmsplice-child-leak", "secret-leak"),
        (FastReadsAreNotRecorded, "both-pinned-for-read", "foreign-dma-read"),
    ],
)
def test_without_one_rule_it_shows(
    mutant: type[Piggin2009OneReader], scenario: str, kind: str
) -> None:
    assert kind not in simulate(SCENARIOS[scenario], POLICY).kinds
    assert kind in simulate(SCENARIOS[scenario], mutant()).kinds


def _child_registers(stage: Stage) -> Script:
    memory = yield Register(stage.buf, SECTOR, writable=False, api="vfio")
    yield Store(stage.buf, b"C")
    yield DeviceLoads(memory, 0, 1)
    yield Release(memory)


CHILD_REGISTERS = Scenario(
    "child-registers", "fork; the child's page is read for long while the parent stores",
    _one_page, {"cpu": _parent}, {"child": _child_registers}, "cpu child cpu child child child",
)  # fmt: skip


def test_without_a_second_look_at_the_record_the_reader_is_moved_off_his_page() -> None:
    kind = "stale-dma-read"
    original = explore(lambda: SimulatedWorld(CHILD_REGISTERS, POLICY))
    assert original.exhaustive
    assert original.verdicts == {}
    found = explore(lambda: SimulatedWorld(CHILD_REGISTERS, TheReaderIsMoved()), wanted=kind)
    assert kind in found.verdicts


@pytest.mark.needs_ptrace
def test_live_the_first_owner_is_moved_when_the_reader_stores() -> None:
    with uemu.Machine(POLICY) as machine:
        parent = machine.spawn()
        buf = parent.mmap(PAGE_SIZE)
        parent.store(buf, b"I")
        child = parent.fork()
        shared = machine.frame_of(parent, buf)
        write = machine.dma.start(child, buf, SECTOR, direction=uemu.DMA_TO_DEVICE)
        child.store(buf, b"C")
        assert machine.frame_of(child, buf) == shared
        assert parent.load(buf, 1) == b"I"
        assert write.complete()[:1] == b"C"
        assert machine.violations == []
        machine.check()
