"""PG_dontcow, page by page (Piggin, 2009-03-14 and 2009-03-16).

get_user_pages breaks COW before it holds a page, to read or to write, and
marks the page PG_dontcow; the mark stays until the page is freed. gup-fast
refuses an anonymous page without the mark, so whatever it holds belongs to one
process. fork shares as ever, and if the page is marked gives the child a copy
in its place at once. The parent's entry stays write-protected: its next store
finds that one PTE maps the page, and do_wp_page reuses it.

Holds:   device writes and device reads over fork, before or after gup, belong
         to the process that started them; gup-fast and fork cannot miss each
         other, because only gup under mmap_sem sets the mark.
Breaks:  the child's copy is no snapshot (torn-fork-copy): the parent's entry is
         write-protected, but its TLBs are flushed at the end of fork only, and
         another CPU stores through the translation it has while the frame is
         copied. That the write-protection is enough was said on 2009-03-13 16:09.
         Hugetlb is 2.6.29's: nobody marks its pages, nobody asks for a mark
         (lost-dma-write).
Costs:   at fork one page copy for each page that ever was under gup, and a write
         fault of the parent for each; a first gup of a page never is fast; a
         read gup of a shared page copies it; in gup-fast one branch.
Relies:  SetPageDontCOW and fork exclude each other by mmap_sem; fork ends its
         copy before it gives mmap_sem back, so no fault finds mapcount 2.
Source:  N. Piggin, 2009-03-16 16:01, document 003, in reply to Message-ID
         <20090316135654.GA17949@random.random>; its first form is of
         2009-03-14 04:46.
Not modelled: that reclaim changes the child's entry during the copy (the -EAGAIN
         path), for that it maps the original until then is counted but not set:
         nobody runs the child yet; shared
         mappings and those of files, where alone "first" differs in gup-fast (it
         refuses any page without the mark, called stupid on 2009-03-14 05:06).
         As posted a read gup of memory nobody touched asks for FOLL_ANON and
         FOLL_WRITE, which is a BUG() in follow_page: here it maps a fresh page.
Variants: first, as of 2009-03-14: decow_one_pte drops one of the two references
         of the page that the child leaves, so each copy at fork leaks its
         original; the mark is set by an atomic each time. Neither is mentioned.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.abi import Foll
from uemu.errors import Fault
from uemu.mm.fork import copy_unlocked
from uemu.mm.hooks import NeedFault
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.mm.vma import Vm, Vma
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op, Step

PG_DONTCOW = "PG_dontcow"


class Piggin2009Page(Linux2_6_29):
    """2.6.29 with PG_dontcow, per page."""

    name = "piggin-2009-page"
    summary = "gup breaks COW and marks the page PG_dontcow; fork copies a marked page"
    copy_looks = "share read-only, PageDontCOW ?"
    variants: ClassVar = {
        "first": "as of 2009-03-14: each copy at fork leaks a reference of its original"
    }

    def leaks(self) -> bool:
        """The first form does."""
        return self.variant == "first"

    # arch/x86/mm/gup.c --------------------------------------------------------------

    def gup_fast_may_hold(self, cpu: Cpu, page: Page) -> Op[bool]:
        """Whether slow gup has marked the page. Linux: gup_pte_range, patched."""
        yield Step("gup_pte_range", "PageDontCOW ?")
        return cpu.read(page.flag(PG_DONTCOW))

    # mm/memory.c:__get_user_pages -----------------------------------------------------

    def should_force_cow_break(self, vma: Vma, foll: Foll) -> bool:
        """As posted: decow = pages && is_cow_mapping()."""
        return vma.is_cow_mapping()

    def follow_page_pte(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault]:
        """Hold the page, and mark it once the page table lock is released."""
        found = yield from super().follow_page_pte(cpu, mm, vma, base, foll)
        if isinstance(found, Page) and vma.is_cow_mapping():
            yield Step("get_user_pages", "SetPageDontCOW")
            if self.variant == "first" or not cpu.read(found.flag(PG_DONTCOW)):
                cpu.rmw(found.flag(PG_DONTCOW), lambda _: True)
        return found

    # mm/memory.c:copy_one_pte, copy_pte_range, decow_one_pte ----------------------------

    def copy_readonly_pte(self, cpu: Cpu, dst: MmStruct, vma: Vma, base: int, pte: Pte) -> Op[None]:
        """Share; then break COW for the child of a marked page."""
        page = self.mech.page_of(pte)
        if not cpu.read(page.flag(PG_DONTCOW)):
            yield from super().copy_readonly_pte(cpu, dst, vma, base, pte)
            return
        self.mech.get_page(cpu, page)
        self.mech.page_dup_rmap(cpu, page)
        yield from self.decow_one_pte(cpu, dst, vma, base, page)

    def decow_one_pte(self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, page: Page) -> Op[None]:
        """Give the child a copy, no page table lock held meanwhile.

        Not even the TLB of the CPU that forks is flushed before the copy.
        """
        mech = self.mech
        mech.get_page(cpu, page)
        lock = mm.page_table_lock
        try:
            new = yield from copy_unlocked(mech, cpu, mm, base, page, lock, "decow_one_pte")
        except Fault:
            # "oom:" drops the one; the child's goes with the child.
            mech.page_remove_rmap(cpu, page)
            mech.put_page(cpu, page, 2)
            raise
        user = vma.vm_flags & Vm.READ != 0
        mech.set_pte_at(cpu, mm, base, Pte(new.pfn, vma.writable(), True, user))
        mech.page_remove_rmap(cpu, page)
        # The child's and the one taken above; the first form forgot one.
        mech.put_page(cpu, page, 1 if self.variant == "first" else 2)
