"""Red Hat's 2.6.18: fork copies what has more references than PTEs, and no gup-fast is in the way.

A. Arcangeli on 2009-03-11 19:15, of a patch for 2.6.18 kernels that he says
is floating around: it is simpler than the one for mainline, because to check
page_count inside the page table lock, or with mmap_sem held for writing as
in fork, is enough where no gup-fast can raise it just afterwards. The rest
is 2.6.29.

Holds:   device writes and reads that began before fork belong to the process
         that started them; the child's copy is a snapshot.
Breaks:  a device that reads a page which fork shared before receives the
         child's bytes when the parent left the page first
         (foreign-dma-read): a read gup takes what is mapped. A page whose
         entry is read-only at fork, after mprotect, is shared unexamined
         (lost-dma-write, dma-write-seen-by-other). Of a page of hugetlb no count
         is asked, as far as is said (lost-dma-write).
Costs:   at fork one page copy and one TLB flush for each page under I/O;
         every get_user_pages takes mmap_sem.
Relies:  get_user_pages takes its references under mmap_sem alone, held for
         reading; fork holds it for writing, so that the count only falls.
Source:  document 003, A. Arcangeli, 2009-03-11 19:15 ("there is also a patch
         floating around for 2.6.18 based kernels"). The patch is not in the
         documents: that a page which fails the check is copied for the child
         at once, write-protected and flushed meanwhile, and that read-only
         entries are not examined is the plainest reading, after what he says
         of the patch for mainline (19:15, 19:59).
         Linux v2.6.29, mm/memory.c:do_wp_page, for the rest.
Not modelled: that the swap cache's reference is told from others: fork copies
         what is cached; what else
         2.6.18 had not yet or had then, the zero page of a read fault
         included.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE, Foll
from uemu.errors import Fault
from uemu.mm.fork import copy_unlocked
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, is_locked, page_count, page_mapcount
from uemu.mm.pte import Pte
from uemu.mm.vma import Vma
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op


class Redhat2_6_18(Linux2_6_29):
    """F asks page_count under mmap_sem; W as in 2.6.29; G is slow."""

    name = "redhat-2.6.18"
    summary = "fork copies a page with more references than PTEs; there is no gup-fast"
    has_mmu_notifier = False
    copy_looks = "count != mapcount ?"

    def gup_fast_begin(self, cpu: Cpu, mm: MmStruct, foll: Foll) -> Op[int | None]:
        """There is no get_user_pages_fast(): direct I/O takes mmap_sem. Since v2.6.27."""
        return None
        yield  # pragma: no cover

    # mm/memory.c:do_wp_page ---------------------------------------------------------

    def reuse_anon_page(
        self, cpu: Cpu, mm: MmStruct, base: int, pte: Pte, page: Page
    ) -> Op[bool | None]:
        """Who cannot have the page lock copies; he waits for it since v2.6.29."""
        return not is_locked(cpu, page) and self.reuse_swap_page(cpu, page)
        yield  # pragma: no cover

    # mm/memory.c:copy_one_pte -------------------------------------------------------

    def copy_writable_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int, pte: Pte
    ) -> Op[None]:
        """Share, unless somebody holds the page beside its PTEs."""
        page = self.mech.page_of(pte)
        # Nobody can raise the count: that takes mmap_sem, and fork has it.
        if self.has_other_references(cpu, page):
            self.mech.ptep_set_wrprotect(cpu, src, base, pte.wrprotect())
            src.page_table_lock.acquire(cpu)
            yield from self.copy_for_child(cpu, src, dst, base, pte, page)
        else:
            yield from super().copy_writable_pte(cpu, src, dst, vma, base, pte)

    def has_other_references(self, cpu: Cpu, page: Page) -> bool:
        """Whether somebody holds an anonymous page who does not map it."""
        return page.anon and page_count(cpu, page) != page_mapcount(cpu, page)

    def copy_for_child(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, base: int, pte: Pte, page: Page
    ) -> Op[None]:
        """Give the child its copy, then the parent its entry ``pte`` back.

        Precondition: the page table lock is kept, the parent's entry is
        write-protected. The lock is dropped while a page is allocated and
        copied; the entry cannot change, mmap_sem is held for writing.
        """
        mech, lock = self.mech, src.page_table_lock
        # Stop the parent's other CPUs from storing, so that the copy is atomic.
        yield from mech.flush_tlb_range(cpu, src, base, base + PAGE_SIZE)
        lock.release(cpu)
        try:
            new = yield from copy_unlocked(mech, cpu, dst, base, page, lock, "copy_one_pte")
        except Fault:
            yield lock.step("copy_one_pte", "no memory: the parent's entry as it was")
            lock.enter(cpu)
            mech.set_pte_at(cpu, src, base, pte)
            raise
        mech.set_pte_at(cpu, dst, base, Pte(new.pfn, True, True))
        mech.set_pte_at(cpu, src, base, pte)
