"""The simulated MMU: a TLB per CPU in front of the page table."""

from __future__ import annotations

import pytest

from uemu.abi import PAGE_SIZE
from uemu.mm.mm_struct import MmStruct
from uemu.mm.mmu import PageFault, SimulatedMmu
from uemu.mm.pte import Pte, SwapEntry
from uemu.step import Access, Cpu, RecordingCpu

BASE = 0x10000


@pytest.fixture
def mm() -> MmStruct:
    mm = MmStruct(0, "parent")
    mm.pte(BASE).value = Pte(5, True)
    return mm


def test_an_access_reaches_the_frame_the_entry_names(mm: MmStruct) -> None:
    mmu, cpu = SimulatedMmu(), Cpu("cpu")
    assert mmu.translate(cpu, mm, BASE + 17, write=True) == 5


@pytest.mark.parametrize("entry", [None, SwapEntry(1)])
def test_an_access_to_what_is_not_present_faults(mm: MmStruct, entry: SwapEntry | None) -> None:
    mm.pte(BASE).value = entry
    found = SimulatedMmu().translate(Cpu("cpu"), mm, BASE + 17, write=False)
    assert found == PageFault(BASE + 17, False)


def test_a_store_through_a_read_only_entry_faults_and_a_load_does_not(mm: MmStruct) -> None:
    mmu, cpu = SimulatedMmu(), Cpu("cpu")
    mm.pte(BASE).value = Pte(5, False)
    assert mmu.translate(cpu, mm, BASE, write=True) == PageFault(BASE, True)
    assert mmu.translate(cpu, mm, BASE, write=False) == 5


def test_a_cpu_that_touched_the_page_keeps_its_translation_until_the_flush(mm: MmStruct) -> None:
    mmu, warm, cold = SimulatedMmu(), Cpu("warm"), Cpu("cold")
    mmu.translate(warm, mm, BASE, write=True)
    mm.pte(BASE).value = Pte(5, False)
    assert mmu.translate(warm, mm, BASE, write=True) == 5
    assert mmu.translate(cold, mm, BASE, write=True) == PageFault(BASE, True)
    mmu.flush(cold, warm, mm.id, BASE, BASE + PAGE_SIZE)
    assert mmu.translate(warm, mm, BASE, write=True) == PageFault(BASE, True)


def test_a_flush_spares_other_pages_and_other_cpus(mm: MmStruct) -> None:
    mmu, one, two = SimulatedMmu(), Cpu("one"), Cpu("two")
    for cpu in (one, two):
        mmu.translate(cpu, mm, BASE, write=True)
    mm.pte(BASE).value = None
    mmu.flush(one, one, mm.id, BASE + PAGE_SIZE, BASE + 2 * PAGE_SIZE)
    assert mmu.translate(one, mm, BASE, write=True) == 5
    mmu.flush(one, one, mm.id, BASE, BASE + PAGE_SIZE)
    assert isinstance(mmu.translate(one, mm, BASE, write=True), PageFault)
    assert mmu.translate(two, mm, BASE, write=True) == 5


def test_a_fault_drops_the_translation_it_met(mm: MmStruct) -> None:
    mmu, cpu = SimulatedMmu(), Cpu("cpu")
    mm.pte(BASE).value = Pte(5, False)
    mmu.translate(cpu, mm, BASE, write=False)
    mm.pte(BASE).value = Pte(6, False)
    assert mmu.translate(cpu, mm, BASE, write=True) == PageFault(BASE, True)
    assert mmu.translate(cpu, mm, BASE, write=False) == 6


def test_a_load_through_the_tlb_does_not_look_at_the_page_table(mm: MmStruct) -> None:
    mmu, cpu = SimulatedMmu(), RecordingCpu("cpu")
    mmu.translate(cpu, mm, BASE, write=False)
    cpu.take_accesses()
    mmu.translate(cpu, mm, BASE, write=False)
    assert cpu.take_accesses() == Access(frozenset({("tlb", "cpu", 0, BASE)}))


def test_a_cpu_that_leaves_an_mm_takes_its_translations_along(mm: MmStruct) -> None:
    mmu, one, two = SimulatedMmu(), Cpu("one"), Cpu("two")
    for cpu in (one, two):
        mmu.run_on(cpu, 0)
        mmu.translate(cpu, mm, BASE, write=False)
    mmu.leave(one, 0)
    assert mmu.cpus_of(0) == (two,)
    mm.pte(BASE).value = None
    assert mmu.translate(one, mm, BASE, write=False) == PageFault(BASE, False)
    assert mmu.translate(two, mm, BASE, write=False) == 5


def test_cpus_of_an_mm_are_those_that_run_it_until_it_is_gone() -> None:
    mmu, one, two = SimulatedMmu(), Cpu("one"), Cpu("two")
    mmu.run_on(one, 0)
    mmu.run_on(two, 0)
    assert mmu.cpus_of(0) == (one, two)
    assert mmu.cpus_of(1) == ()
    mmu.mm_gone(0)
    assert mmu.cpus_of(0) == ()
