"""Page table entries: written, taken away, listed; and the TLBs that keep them.

Linux: arch/x86/include/asm/pgtable.h, arch/x86/mm/tlb.c. Those marked "Atomic: call
inside a step" do not yield.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from uemu.abi import PAGE_SIZE
from uemu.events import EventBus, PteSet, TlbFlushed
from uemu.mm.frames import FrameStore
from uemu.mm.mmu import MmuPort
from uemu.mm.page_alloc import Pages
from uemu.mm.pte import AnyPte, Pte
from uemu.step import Cpu, Op, Step

if TYPE_CHECKING:
    from uemu.mm.mm_struct import MmStruct


class PageTables(Pages):
    """Page tables over physical memory, and what they are applied to.

    Attributes:
        mmu: what page tables are applied to.
        ipi_waits_for_gup_fast: whether a TLB flush by IPI waits for CPUs that
            run with interrupts off, as on x86; elsewhere it may not.
    """

    def __init__(
        self,
        frames: FrameStore,
        mmu: MmuPort,
        events: EventBus,
        hpage_nr: int,
        *,
        ipi_waits_for_gup_fast: bool,
    ) -> None:
        super().__init__(frames, events, hpage_nr)
        self.mmu = mmu
        self.ipi_waits_for_gup_fast = ipi_waits_for_gup_fast

    def set_pte_at(self, cpu: Cpu, mm: MmStruct, base: int, pte: AnyPte) -> None:
        """Write an entry, by a plain store. Linux: set_pte_at(). Atomic: call inside a step."""
        cell = mm.pte(base)
        old = cell.value
        cpu.write(cell, pte)
        self._changed_pte(cpu, mm, base, old, pte)

    def ptep_set_wrprotect(self, cpu: Cpu, mm: MmStruct, base: int, pte: Pte) -> None:
        """Take _PAGE_RW from an entry, which leaves ``pte``. Atomic: call inside a step.

        A locked clear_bit(). Linux: arch/x86/include/asm/pgtable.h:ptep_set_wrprotect().
        """
        old = cpu.rmw(mm.pte(base), lambda _: pte)
        self._changed_pte(cpu, mm, base, old, pte)

    def ptep_get_and_clear(self, cpu: Cpu, mm: MmStruct, base: int) -> None:
        """Clear an entry, by xchg. Linux: ptep_get_and_clear(). Atomic: call inside a step."""
        old = cpu.rmw(mm.pte(base), lambda _: None)
        self._changed_pte(cpu, mm, base, old, None)

    def _changed_pte(self, cpu: Cpu, mm: MmStruct, base: int, old: AnyPte, pte: AnyPte) -> None:
        """Tell whoever has to know of an entry that was written."""
        old_pfn = old.pfn if type(old) is Pte else None
        pfn = pte.pfn if type(pte) is Pte else None
        if cpu.recording:
            # Who maps a frame is what the oracle asks when a device writes it.
            for touched in (old_pfn, pfn):
                if touched is not None and pfn != old_pfn:
                    cpu.touch(("rmap", touched), write=True)
        self.mmu.set_pte(mm.id, base, old, pte)
        write = type(pte) is Pte and pte.write
        self.publish(PteSet, cpu.name, mm.id, base, old_pfn, pfn, write)

    # Huge entries ---------------------------------------------------------------

    def set_pmd_at(self, cpu: Cpu, mm: MmStruct, base: int, pmd: AnyPte) -> None:
        """Write a huge entry. Linux: set_pmd_at(), set_huge_pte_at(). Atomic: inside a step."""
        cell = mm.pmd(base)
        old = cell.value
        cpu.write(cell, pmd)
        self._changed_pmd(cpu, mm, base, old, pmd)

    def pmdp_set_wrprotect(self, cpu: Cpu, mm: MmStruct, base: int, pmd: Pte) -> None:
        """Take _PAGE_RW from a huge entry, which leaves ``pmd``. Atomic: call inside a step.

        Linux: pmdp_set_wrprotect(), huge_ptep_set_wrprotect().
        """
        old = cpu.rmw(mm.pmd(base), lambda _: pmd)
        self._changed_pmd(cpu, mm, base, old, pmd)

    def pmdp_get_and_clear(self, cpu: Cpu, mm: MmStruct, base: int) -> None:
        """Clear a huge entry. Linux: huge_ptep_get_and_clear(). Atomic: call inside a step."""
        old = cpu.rmw(mm.pmd(base), lambda _: None)
        self._changed_pmd(cpu, mm, base, old, None)

    def pmdp_invalidate(self, cpu: Cpu, mm: MmStruct, base: int) -> None:
        """Take a huge entry away until `pmd_populate`. Atomic: call inside a step.

        The page table lock is kept meanwhile, and nobody is told: what is mapped stays.
        """
        cpu.rmw(mm.pmd(base), lambda _: None)

    def pmd_populate(self, cpu: Cpu, mm: MmStruct, base: int, pmd: Pte) -> None:
        """Map what ``pmd`` mapped by entries for single pages. Atomic: call inside a step."""
        for i in range(pmd.nr):
            cpu.write(mm.pte(base + i * PAGE_SIZE), pmd.sub(i))

    def _changed_pmd(self, cpu: Cpu, mm: MmStruct, base: int, old: AnyPte, pmd: AnyPte) -> None:
        """A huge entry is to the MMU, and to whoever listens, what its pages are."""
        for i in range(mm.hpage_nr):
            was = old.sub(i) if isinstance(old, Pte) else old
            now = pmd.sub(i) if isinstance(pmd, Pte) else pmd
            self._changed_pte(cpu, mm, base + i * PAGE_SIZE, was, now)

    # What there is ----------------------------------------------------------------

    def entries_in(self, cpu: Cpu, mm: MmStruct, start: int, end: int) -> Op[list[int]]:
        """The addresses in ``[start, end)`` that have an entry; begin inside a step.

        To find an entry empty is to read it, too. One that is empty only while
        somebody puts another in its place is waited for: he has the page table
        lock meanwhile. Linux: pte_offset_map_lock().
        """
        lock = mm.page_table_lock
        if cpu.read(lock.held):
            yield lock.step("pte_offset_map_lock", "an entry is being replaced")
            lock.enter(cpu)
        if cpu.recording:
            for base in range(start, end, PAGE_SIZE):
                cpu.touch(("pte", mm.id, base), write=False)
        return mm.bases_in(start, end)

    def huge_entries_in(self, cpu: Cpu, mm: MmStruct, start: int, end: int) -> Op[list[int]]:
        """The addresses in ``[start, end)`` that have a huge entry; begin inside a step.

        As `entries_in`; where nothing may be huge it looks at nothing.
        """
        size = mm.hpage_size
        cells = [mm.pmds[base] for base in sorted(mm.pmds) if start <= base <= end - size]
        if not cells:
            return []
        lock = mm.page_table_lock
        if cpu.read(lock.held):
            yield lock.step("pmd_trans_huge_lock", "an entry is being replaced")
            lock.enter(cpu)
        return [cell.name[2] for cell in cells if cpu.read(cell) is not None]

    # TLBs -------------------------------------------------------------------------

    def flush_tlb_range(self, cpu: Cpu, mm: MmStruct, start: int, end: int) -> Op[None]:
        """Make every CPU of ``mm`` forget its translations of ``[start, end)``.

        The calling CPU flushes its own TLB in the step under way and sends an
        IPI to each other CPU that runs ``mm``; each of them is a step, which
        waits while that CPU has interrupts off.

        Not modelled: that the IPIs go out together; here one waits for the
        other. Linux: arch/x86/mm/tlb.c:flush_tlb_others.
        """
        cpu.touch(("mm_cpumask", mm.id), write=False)
        targets = self.mmu.cpus_of(mm.id)
        if not targets:
            return
        self.mmu.flush(cpu, cpu, mm.id, start, end)
        for target in targets:
            if target is not cpu:
                yield Step("flush_tlb_others", f"IPI to {target.name}", self._ipi_enabled(target))
                cpu.read(target.irqs_off)
                self.mmu.flush(cpu, target, mm.id, start, end)
                self.publish(TlbFlushed, cpu.name, mm.id, target.name, start, end)

    def _ipi_enabled(self, target: Cpu) -> Callable[[], bool] | None:
        if not self.ipi_waits_for_gup_fast:
            return None
        return lambda: not target.irqs_off.peek()
