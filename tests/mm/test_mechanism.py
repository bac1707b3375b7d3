"""References, the reverse mapping, entries, TLB flushes."""

from __future__ import annotations

import pytest

from tests.common import TinyWorld, one_page, run_steps
from uemu.abi import PAGE_SIZE
from uemu.errors import InvariantError
from uemu.events import PageFreed, PteSet, TlbFlushed
from uemu.mm.pte import Pte
from uemu.step import Access, RecordingCpu
from uemu.step.tso import TsoCpu


def test_the_last_put_page_frees_the_frame() -> None:
    world = TinyWorld("linux-2.6.29")
    mech, cpu = world.kernel.mech, world.device
    page = mech.alloc_page(world.device, 0)
    mech.get_page(cpu, page)
    mech.put_page(cpu, page)
    assert world.log(PageFreed) == []
    mech.put_page(cpu, page)
    assert world.log(PageFreed) == [PageFreed(page.pfn)]
    assert page.pfn not in mech.pages


def test_who_puts_a_mapped_page_looks_at_the_mapcount_alone() -> None:
    world, parent, buf = one_page()
    mech, cpu, page = world.kernel.mech, RecordingCpu("cpu"), parent.page(buf)
    refcount, mapcount = (frozenset({(name, page.pfn)}) for name in ("refcount", "mapcount"))
    mech.get_page(cpu, page)
    assert cpu.take_accesses() == Access(counts=refcount)
    mech.put_page(cpu, page)
    assert cpu.take_accesses() == Access(reads=mapcount, counts=refcount)


def test_who_puts_a_page_that_nobody_maps_looks_whether_it_was_the_last() -> None:
    world = TinyWorld("linux-2.6.29")
    mech, cpu = world.kernel.mech, RecordingCpu("cpu")
    page = mech.alloc_page(cpu, 0)
    mech.get_page(cpu, page)
    cpu.take_accesses()
    for _ in range(2):
        mech.put_page(cpu, page)
        assert ("refcount", page.pfn) in cpu.take_accesses().writes
    assert page.pfn not in mech.pages


def test_what_a_cpu_has_in_hand() -> None:
    world, parent, buf = one_page()
    mech, cpu = world.kernel.mech, RecordingCpu("cpu")
    page = mech.alloc_page(cpu, 0)
    assert mech.in_hand == {("cpu", page.pfn): 1}
    mech.page_add_new_anon_rmap(cpu, page)
    assert mech.in_hand == {}
    mech.page_remove_rmap(cpu, page)
    mech.get_page(cpu, page, 3)
    assert mech.in_hand == {("cpu", page.pfn): 4}
    mech.put_page(cpu, page, 4)
    assert mech.in_hand == {}
    parent.cpu = cpu
    world.mmu.run_on(cpu, parent.mm.id)
    read = parent.read_disk(buf)
    assert mech.in_hand == {}  # the device has it
    world.complete(read)
    assert mech.in_hand == {}


def test_getting_a_free_page_is_caught() -> None:
    world = TinyWorld("linux-2.6.29")
    mech, cpu = world.kernel.mech, world.device
    page = mech.alloc_page(world.device, 0)
    mech.put_page(cpu, page)
    with pytest.raises(InvariantError, match="pinned-page-freed"):
        mech.get_page(cpu, page)


def test_freeing_a_mapped_page_is_caught() -> None:
    world, parent, buf = one_page()
    with pytest.raises(InvariantError, match="refcount-leak"):
        world.kernel.mech.put_page(world.device, parent.page(buf))


def test_giving_back_more_than_there_is_is_caught() -> None:
    world = TinyWorld("linux-2.6.29")
    page = world.kernel.mech.alloc_page(world.device, 0)
    with pytest.raises(InvariantError, match="refcount-leak"):
        world.kernel.mech.put_page(world.device, page, 2)


def test_the_zero_page_is_one_and_never_freed() -> None:
    world = TinyWorld("linux-5.9")
    mech = world.kernel.mech
    zero = mech.zero_page()
    mech.put_page(world.device, zero, 5)
    assert mech.zero_page() is zero
    assert mech.frames.read(zero.pfn, 0, PAGE_SIZE) == bytes(PAGE_SIZE)


def test_setting_an_entry_is_announced_with_what_was_there() -> None:
    world, parent, buf = one_page()
    old = parent.pte(buf)
    world.kernel.mech.set_pte_at(parent.cpu, parent.mm, buf, old.wrprotect())
    event = world.log(PteSet)[-1]
    assert (event.old_pfn, event.pfn, event.write) == (old.pfn, old.pfn, False)


def test_only_a_change_of_frame_touches_who_maps_it() -> None:
    world, parent, buf = one_page()
    cpu, old = RecordingCpu("cpu"), parent.pte(buf)
    world.kernel.mech.set_pte_at(cpu, parent.mm, buf, old.wrprotect())
    assert cpu.take_accesses()[1] == {("pte", parent.mm.id, buf)}
    world.kernel.mech.set_pte_at(cpu, parent.mm, buf, None)
    assert ("rmap", old.pfn) in cpu.take_accesses()[1]


def test_a_flush_sends_an_ipi_to_every_other_cpu_of_the_mm() -> None:
    world, parent, buf = one_page()
    others = [world.cpu_of(parent.mm), world.cpu_of(parent.mm)]
    mech = world.kernel.mech
    _, taken = run_steps(mech.flush_tlb_range(parent.cpu, parent.mm, buf, buf + PAGE_SIZE))
    assert taken == ["flush_tlb_others"] * 2
    assert [event.target for event in world.log(TlbFlushed)] == [cpu.name for cpu in others]


def test_a_flush_of_an_mm_that_runs_on_one_cpu_takes_no_step() -> None:
    world, parent, buf = one_page()
    flush = world.kernel.mech.flush_tlb_range(parent.cpu, parent.mm, buf, buf + PAGE_SIZE)
    assert run_steps(flush) == (None, [])
    world.kernel.mech.set_pte_at(parent.cpu, parent.mm, buf, Pte(parent.pte(buf).pfn, False))
    assert world.mmu.translate(parent.cpu, parent.mm, buf, write=False) == parent.pte(buf).pfn


@pytest.mark.parametrize("waits", [True, False])
def test_an_ipi_waits_for_a_cpu_with_interrupts_off_where_that_is_so(waits: bool) -> None:
    world = TinyWorld("linux-2.6.29", ipi_waits_for_gup_fast=waits)
    parent = world.process()
    other = world.cpu_of(parent.mm)
    other.irqs_off.value = True
    flush = world.kernel.mech.flush_tlb_range(parent.cpu, parent.mm, 0, PAGE_SIZE)
    step = next(flush)
    assert step.is_enabled() is not waits
    other.irqs_off.value = False
    assert step.is_enabled()


def test_an_entry_is_cleared_and_protected_by_locked_instructions_and_set_by_a_store() -> None:
    world, parent, buf = one_page()
    mech, cpu, cell = world.kernel.mech, TsoCpu("cpu"), parent.mm.pte(buf)
    pte = parent.pte(buf)
    mech.ptep_set_wrprotect(cpu, parent.mm, buf, pte.wrprotect())
    assert (cell.peek(), cpu.has_stores()) == (pte.wrprotect(), False)
    mech.set_pte_at(cpu, parent.mm, buf, pte)
    assert (cell.peek(), cpu.has_stores()) == (pte.wrprotect(), True)
    mech.ptep_get_and_clear(cpu, parent.mm, buf)
    assert (cell.peek(), cpu.has_stores()) == (None, False)
    assert [event.write for event in world.log(PteSet)[-3:]] == [False, True, False]
