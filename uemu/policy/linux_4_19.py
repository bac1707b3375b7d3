"""Linux 4.19: the rules of 2.6.29 with ten years of features.

What a write fault and fork decide is unchanged: do_wp_page asks the mapcount,
fork write-protects and shares, references that devices hold are not looked
at. New are the zero page under a read gup, MADV_WIPEONFORK, FOLL_COW, and a
gup-fast for all architectures that adds unless zero and looks at the entry
again. Pages of hugetlb have a mapcount by now, and it is asked of them, too:
what the child of 2.6.29 left there to the device it now takes over. It stands
for mainline up to 5.7.

Holds:   a store by one process is never seen by another.
Breaks:  as 2.6.29: a device write in flight over fork is lost by the process
         that started it when it stores first (lost-dma-write), and seen by
         its child (dma-write-seen-by-other); a device that reads memory
         receives the child's bytes when the parent left the page first
         (foreign-dma-read); a reference that a child keeps reads what the
         parent stores later (secret-leak, CVE-2020-29374).
Costs:   nothing at fork; gup-fast takes one atomic and a second look per page. A
         store to a transparent huge page that is shared, in any part, copies
         all of it, and leaves the frames under I/O in all of it.
Relies:  gup-fast compares the entry and not the page, which may have come
         back to the same address: interrupts off keep munmap's TLB flush
         waiting, as in 2.6.29.
Source:  Linux v4.19, mm/memory.c:copy_one_pte, do_wp_page; mm/swapfile.c:
         reuse_swap_page; mm/gup.c:follow_page_pte, can_follow_write_pte,
         gup_pte_range, gup_huge_pmd; mm/huge_memory.c. Since Linux kernel
         commits e585513b76f7 ("x86/mm/gup: Switch GUP to the generic
         get_user_page_fast() implementation") and
         19be0eaffa3a ("mm: remove gup_flags FOLL_WRITE games from
         __get_user_pages()"); for hugetlb 0fe6e20b9c4c ("hugetlb, rmap: add
         reverse mapping for hugepage") (in v2.6.36).
Not modelled: what `uemu.mm.thp` leaves out; that RDMA, io_uring and VFIO came later or asked
         otherwise: they get.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.abi import Foll
from uemu.mm.grab import gup_grab, gup_release
from uemu.mm.hooks import NeedFault
from uemu.mm.huge_hooks import hold_label
from uemu.mm.mm_struct import MmStruct
from uemu.mm.notifier_hooks import KVM_WITHOUT_REFERENCE, SecondaryUse, Told
from uemu.mm.page import Page, is_freed, page_mapcount
from uemu.mm.pte import Pte
from uemu.mm.vma import Vma
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op, Step


class Linux4_19(Linux2_6_29):
    """W and F of 2.6.29; G compares the entry, and reads through the zero page."""

    name = "linux-4.19"
    year = 2018
    summary = "the rules of 2.6.29 with later features: WIPEONFORK, generic gup-fast"
    read_fault_maps_zero_page = True
    has_wipeonfork = True
    has_soft_dirty = True
    has_ksm = True
    clear_refs_downgrades = True
    unmap_tells = Told.AROUND
    cow_tells_range = True
    pagevec_size = 15
    fault_fn = "__do_page_fault"
    copy_fn = "wp_page_copy"
    mprotect_fn = "do_mprotect_pkey"
    try_grab_fn: ClassVar[str] = "page_cache_get_speculative"

    hugetlb_reads_zero_page = False
    has_thp = True
    thp_cow_copies_all = True

    def secondary_use(self, kind: str) -> SecondaryUse:
        """KVM lets the page go once it has mapped it."""
        return KVM_WITHOUT_REFERENCE if kind == "kvm" else super().secondary_use(kind)

    def hugetlb_may_reuse(self, cpu: Cpu, page: Page) -> bool:
        """Ask the mapcount. Linux: hugetlb_cow (since v2.6.36)."""
        return page_mapcount(cpu, page) == 1

    def foll_cow_broken(self, foll: Foll) -> Foll:
        """Since 19be0eaffa3a FOLL_WRITE stays, and FOLL_COW says that the copy is there."""
        return foll | Foll.COW

    def can_follow_write_pte(self, pte: Pte, foll: Foll) -> bool:
        """FOLL_FORCE writes what is not writable, after a COW cycle."""
        return pte.write or (Foll.FORCE in foll and Foll.COW in foll and pte.dirty)

    def follow_page_pte(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault]:
        """A read takes whatever is mapped. Linux: follow_page_pte."""
        lock = mm.page_table_lock
        yield lock.step("follow_page_pte", "hold the page")
        lock.enter(cpu)
        pte = cpu.read(mm.pte(base))
        write = Foll.WRITE in foll
        if not isinstance(pte, Pte) or (write and not self.can_follow_write_pte(pte, foll)):
            return NeedFault.WRITE if write else NeedFault.READ
        page = self.mech.page_of(pte)
        first = self.fault_before_hold(cpu, pte, page, foll)
        if first is not None:
            return first
        gup_grab(self.mech, cpu, page, foll)
        return page

    def follow_trans_huge_pmd(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault | None]:
        """The same of a page in a huge entry. Linux: mm/huge_memory.c."""
        lock = mm.page_table_lock
        yield lock.step("follow_trans_huge_pmd", "hold the page")
        lock.enter(cpu)
        pmd = cpu.read(mm.pmd(base - base % mm.hpage_size))
        if not isinstance(pmd, Pte):
            return None
        if Foll.WRITE in foll and not self.can_follow_write_pte(pmd, foll):
            return NeedFault.WRITE
        first = self.fault_before_hold(cpu, pmd, self.mech.page_of(pmd), foll)
        if first is not None:
            return first
        (page,) = self.pages_of_pmd(mm, base, pmd, 1)
        gup_grab(self.mech, cpu, page, foll)
        return page

    def fault_before_hold(self, cpu: Cpu, pte: Pte, page: Page, foll: Foll) -> NeedFault | None:
        """What else a page that is mapped as asked for needs first: here, nothing."""
        return None

    def gup_fast_pte(self, cpu: Cpu, mm: MmStruct, base: int, foll: Foll) -> Op[Page | None]:
        """Hold the page and see that the entry did not move. Linux: gup_pte_range."""
        pte = yield from self.gup_fast_look(cpu, mm, base, foll)
        if pte is None:
            return None
        page = self.mech.page_of(pte)
        yield Step(self.try_grab_fn, f"hold pfn {pte.pfn}")
        if is_freed(cpu, page):
            # page_cache_get_speculative() adds unless zero.
            return None
        gup_grab(self.mech, cpu, page, foll)
        yield Step("gup_pte_range", "pte_same ?")
        if cpu.read(mm.pte(base)) == pte and (yield from self.may_keep(cpu, pte, page, foll)):
            return page
        gup_release(self.mech, cpu, page, foll)
        return None

    def gup_huge_pmd(
        self, cpu: Cpu, mm: MmStruct, base: int, pmd: Pte, nr: int, foll: Foll
    ) -> Op[list[Page] | None]:
        """Hold the pages and see that the entry did not move."""
        if not pmd.user or (Foll.WRITE in foll and not pmd.write):
            return None
        pages, head = self.pages_of_pmd(mm, base, pmd, nr), self.mech.page_of(pmd)
        yield Step(self.try_grab_fn, hold_label(pages))
        if is_freed(cpu, head):
            return None
        self.grab_huge(cpu, pages, foll)
        yield Step("gup_huge_pmd", "pmd_same ?")
        huge = base - base % mm.hpage_size
        if cpu.read(mm.pmd(huge)) == pmd and (yield from self.may_keep_huge(cpu, pmd, head, foll)):
            return pages
        for page in pages:
            gup_release(self.mech, cpu, page, foll)
        return None

    def may_keep_huge(self, cpu: Cpu, pmd: Pte, page: Page, foll: Foll) -> Op[bool]:
        """Whether gup-fast may keep the pages it holds of a compound page: here, always."""
        return True
        yield  # pragma: no cover

    def may_keep(self, cpu: Cpu, pte: Pte, page: Page, foll: Foll) -> Op[bool]:
        """Whether gup-fast may keep what it holds: here, always."""
        return True
        yield  # pragma: no cover

    # THP: mm/huge_memory.c ----------------------------------------------------------------

    def thp_reuse(self, cpu: Cpu, mm: MmStruct, base: int, pmd: Pte, page: Page) -> Op[bool | None]:
        """Ask the mapcount of the part that most map. Linux: do_huge_pmd_wp_page.

        So does every kernel up to v5.17, whatever do_wp_page asks of small pages.
        """
        return Linux2_6_29.reuse_anon_page(self, cpu, mm, base, pmd, page)
