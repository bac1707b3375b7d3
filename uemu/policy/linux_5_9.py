"""Linux 5.9: do_wp_page asks page_count; fork copies what may be pinned.

Only a page that has one reference in all is reused on a write fault, so any
reference, whoever's, makes the writer take a copy. fork copies for the child
at once a page that may be pinned (FOLL_PIN counts 1024) in an mm that ever
pinned one; the parent's entry is then left alone. O_DIRECT still takes a
plain get, which fork does not see.

Holds:   pins, over fork; a device never receives another process's bytes.
Breaks:  an O_DIRECT read in flight over fork is lost when its owner stores
         (lost-dma-write), even when the child is gone already; mprotect to
         read-only and back does the same with no fork at all, to pins too.
         Of hugetlb, which fork does not copy and whose write fault asks the
         mapcount still, pins are lost, too, and the child takes the device's
         frames over (dma-write-seen-by-other, foreign-dma-read), or keeps them
         in a pipe and reads what the parent stores (secret-leak).
         fork's copy of a pinned page is no state that page had, if the
         parent's threads store to it meanwhile (torn-fork-copy).
         Of a transparent huge page a write fault asks the mapcounts, as in 5.8:
         nothing of it is lost once the child is gone, nor by mprotect.
Costs:   COW copies wherever anybody holds a reference; at fork a page copy
         for each page that may be pinned, and for every page of a transparent
         huge page of which any may be: its pins are counted in one place.
Relies:  pins that fork can see: one that gup-fast takes between fork's look
         and its write-protection is shared and lost (excluded since v5.11).
Source:  Linux v5.9, mm/memory.c:do_wp_page, copy_present_page; mm/gup.c.
         Since Linux kernel commits 09854ba94c6a ("mm: do_wp_page()
         simplification"), a308c71bf1e6 ("mm/gup: Remove enfornced COW
         mechanism"), 008cfe4418b3 ("mm: Introduce mm_struct.has_pinned"),
         70e806e4e645 ("mm: Do early cow for pinned pages during fork() for ptes"),
         d042035eaf5f ("mm/thp: Split huge pmds/puds if they're pinned when fork()"),
         f3c64eda3e50 ("mm: avoid early COW write protect games during fork()"),
         be068f29034f ("mm: fix misplaced unlock_page in do_wp_page()").
Not modelled: that fork lets go of the page table lock to allocate, and looks again
         (-EAGAIN). LRU pagevecs, whose references count, too, are
         there where the mechanism is asked for them (`uemu.mm.pagevec`).
"""

from __future__ import annotations

from uemu.abi import Foll
from uemu.mm.fork import share_page
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import (
    Page,
    page_count,
    page_mapcount,
    page_maybe_dma_pinned,
    trylock_page,
    unlock_page,
)
from uemu.mm.pte import Pte
from uemu.mm.vma import Vm, Vma
from uemu.policy.linux_5_8 import Linux5_8
from uemu.step import Cpu, Op, Step


class Linux5_9(Linux5_8):
    """W asks page_count; F copies what may be pinned; G as in 2.6.29, or a pin."""

    name = "linux-5.9"
    year = 2020
    summary = "a write fault asks page_count; fork copies pinned pages; O_DIRECT is a get"
    wp_looks = "page_count == 1 ?"
    thp_copy_looks = "may be pinned ?"
    forces_cow_break = False

    # fork: mm/memory.c ----------------------------------------------------------------

    def copy_present_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int
    ) -> Op[None]:
        """Copy what may be pinned, share the rest. Linux: copy_present_pte."""
        lock = src.page_table_lock
        yield lock.step("copy_present_pte", "may be pinned ?")
        lock.enter(cpu)
        pte = cpu.read(src.pte(base))
        if not isinstance(pte, Pte):
            return
        page = self.mech.page_of(pte)
        if not page.reserved and self.page_needs_cow_for_dma(cpu, src, page):
            yield from self.copy_present_page(cpu, src, dst, vma, base, page)
            return
        yield from self.share_present_pte(cpu, src, dst, vma, base, pte)

    def share_present_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int, pte: Pte
    ) -> Op[None]:
        """Write-protect both, share. Linux: copy_present_pte, its end.

        Precondition: in the step that looked at ``pte``, or with the lock kept since.
        """
        lock = src.page_table_lock
        if vma.is_cow_mapping() and pte.write:
            lock.acquire(cpu)
            yield Step("copy_present_pte", "share read-only")
            pte = pte.wrprotect()
            self.mech.ptep_set_wrprotect(cpu, src, base, pte)
        lock.release(cpu)
        share_page(self.mech, cpu, dst, base, pte)

    def page_needs_cow_for_dma(self, cpu: Cpu, mm: MmStruct, page: Page) -> bool:
        """Whether fork must copy. Linux: the test in copy_present_page."""
        return cpu.read(mm.has_pinned) and page_maybe_dma_pinned(cpu, page)

    def copy_present_page(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int, page: Page
    ) -> Op[None]:
        """Give the child its copy of a page now, writable, under the page table lock.

        The parent's entry is not touched, so the copy is no snapshot of what the
        parent's other CPUs store meanwhile (torn-fork-copy).
        Linux: mm/memory.c:copy_present_page.
        """
        mech, lock = self.mech, src.page_table_lock
        # The kernel lets the lock go to allocate (page_copy_prealloc): who gets no
        # memory holds nothing.
        new = mech.alloc_page(cpu, base)
        lock.acquire(cpu)
        yield from mech.copy_page_for_fork(cpu, dst, base, new, page, "copy_present_page")
        mech.page_add_new_anon_rmap(cpu, new)
        self.new_anon_page(cpu, new)
        user = vma.vm_flags & Vm.READ != 0
        mech.set_pte_at(cpu, dst, base, Pte(new.pfn, vma.writable(), True, user))
        lock.release(cpu)

    # fork: mm/huge_memory.c:copy_huge_pmd ------------------------------------------------

    def thp_fork_splits(self, cpu: Cpu, src: MmStruct, page: Page) -> bool:
        """What may be pinned, in any part. Since d042035eaf5f ("mm/thp: Split huge pmds ...")."""
        return self.page_needs_cow_for_dma(cpu, src, page)

    def thp_fork_shares(self, cpu: Cpu, src: MmStruct, pmd: Pte, page: Page) -> Op[None]:
        """gup-fast may have come in between."""
        if pmd.write:
            src.page_table_lock.acquire(cpu)
            yield Step("copy_huge_pmd", "share read-only")

    # write fault: mm/memory.c:do_wp_page -------------------------------------------------

    def reuse_anon_page(
        self, cpu: Cpu, mm: MmStruct, base: int, pte: Pte, page: Page
    ) -> Op[bool | None]:
        """Reuse only what nobody else refers to."""
        if cpu.read(page.ksm) or not self.is_alone(cpu, page):
            return False
        mm.page_table_lock.acquire(cpu)
        # "the only map reference, and the only page count reference": gup-fast,
        # which takes neither lock, may have come in between.
        yield Step("do_wp_page", "locked: alone still ?", locked=True)
        alone = page_mapcount(cpu, page) == 1 and page_count(cpu, page) == 1
        unlock_page(cpu, page)
        if alone:
            yield Step("wp_page_reuse", "make it writable")
        return alone

    def is_alone(self, cpu: Cpu, page: Page) -> bool:
        """Whether this entry has the only reference; the page is locked then."""
        return page_count(cpu, page) == 1 and trylock_page(cpu, page)

    # mm/gup.c ---------------------------------------------------------------------------

    def gup_fast_begin(self, cpu: Cpu, mm: MmStruct, foll: Foll) -> Op[int | None]:
        """Mark the mm before the first pin. Linux: internal_get_user_pages_fast."""
        if Foll.PIN in foll:
            yield Step("internal_get_user_pages_fast", "mm has_pinned")
            self.gup_mark_mm(cpu, mm, foll)
        return 0

    def gup_mark_mm(self, cpu: Cpu, mm: MmStruct, foll: Foll) -> None:
        """Set mm->has_pinned before the first pin."""
        if Foll.PIN in foll and not cpu.read(mm.has_pinned):
            cpu.write(mm.has_pinned, True)
