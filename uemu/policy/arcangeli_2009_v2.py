"""PG_gup, second version (Arcangeli, 2009-03-16): fork copies what may be under I/O.

gup marks each anonymous page it holds with PG_gup, which stays until the
page is freed. fork write-protects the parent's entry, and if the page is
marked and has more references than PTEs it copies it for the child at once
and makes the parent's entry writable again. gup-fast looks at the entry once
more after it marked the page, so that fork needs no TLB flush per page. A
read gup breaks COW first, as a write gup does.

Holds:   device writes and device reads in flight over fork belong to the
         process that started them.
Breaks:  a read gup in a VMA without VM_WRITE never returns (livelock):
         follow_page wants a writable entry that maybe_mkwrite never makes.
Costs:   at fork one page copy and one TLB flush for each page under I/O; in
         gup-fast one atomic more on a page's first hold and a fence always. A
         read gup-fast of an anonymous page never succeeds: the patch compares
         the masked flags with one more than the mask has.
Relies:  fork writes the entry, then reads PG_gup and the count; gup-fast
         writes count and PG_gup, then reads the entry. Whoever is second
         sees the other: both need their smp_mb().
Source:  the patch in document 003, Message-ID
         <20090316135654.GA17949@random.random> (A. Arcangeli, 2009-03-16).
Not modelled: swap, so a present entry cannot become anything else while
         fork_pre_cow() copies; hugetlb; the page lock (its trylock cannot
         fail here); smp_mb() orders nothing under sequential consistency.
Variants: norecheck, what L. Torvalds feared on 2009-03-11 19:01; it also
         leaves a read gup-fast with a page that is shared. nomb.

Race: gup-fast-vs-fork uemu1:00011101111111100
    -> lost-dma-write, dma-write-seen-by-other (norecheck)

    #   io                   fork              note                  state
    --  -------------------  ----------------  --------------------  -----------
    0   get_user_pages_fast                    interrupts off        0: 1/1
    1   gup_pte_range                          writable ?            0: 1/1
    2   get_page                               hold pfn 0            0: 2/1
    3                        dup_mmap          mmap_sem for writing  0: 2/1
    4                        copy_one_pte      wrprotect the parent  0: 2/1
    5                        copy_one_pte      PG_gup ?              0: 3/2
    6   gup_pte_range                          SetPageGUP            0: 3/2g
    7                        flush_tlb_others  IPI to io             0: 3/2g
    8                        store             b'P' -> parent        0: 3/2g
    9                        do_page_fault     mmap_sem              0: 3/2g
    10                       do_wp_page        mapcount == 1 ?       0: 4/2g
    11                       cow_user_page     copy the frame        0: 4/2g 1/0
    12                       do_wp_page        pte_same ?            -: 4/2g 1/0
    13                       flush_tlb_others  IPI to io             1: 2/1g 1/1
    14                       store             b'P' -> parent        1: 2/1g 1/1
    15  dma                                    b'D' -> pfn 0         1: 2/1g 1/1
    16  put_page                               release pfn 0         1: 1/1g 1/1

State: the frame the parent maps, then count/mapcount of pfn 0, 1, ...;
g: PG_gup.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.abi import PAGE_SIZE, Foll
from uemu.errors import InvariantError
from uemu.mm.fork import share_page
from uemu.mm.gup import gup_grab, gup_release
from uemu.mm.hooks import NeedFault
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, page_count, page_mapcount
from uemu.mm.pte import Pte
from uemu.mm.vma import Vma
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op, Step

PG_GUP = "PG_gup"


class Arcangeli2009V2(Linux2_6_29):
    """2.6.29 with the patch "fork-o_direct-race" on top."""

    name = "arcangeli-2009-v2"
    summary = "PG_gup marks held pages; fork copies a marked page with extra references"
    variants: ClassVar = {
        "norecheck": "gup-fast does not look at the entry again after SetPageGUP",
        "nomb": "neither side has its smp_mb()",
    }

    def smp_mb(self, cpu: Cpu) -> None:
        """The patch's barriers, unless the variant takes them away."""
        if self.variant != "nomb":
            cpu.mb()

    # arch/x86/mm/gup.c ------------------------------------------------------------

    def gup_fast_pte(self, cpu: Cpu, mm: MmStruct, base: int, foll: Foll) -> Op[Page | None]:
        """Hold, mark, and look at the entry again. Linux: gup_pte_range, patched."""
        page = yield from super().gup_fast_pte(cpu, mm, base, foll)
        if page is None or not page.anon:
            return page
        yield Step("gup_pte_range", "SetPageGUP")
        if not cpu.read(page.flag(PG_GUP)):
            cpu.rmw(page.flag(PG_GUP), lambda _: True)
        self.smp_mb(cpu)
        if self.variant == "norecheck":
            return page
        yield Step("gup_pte_range", "still writable ?")
        pte = cpu.read(mm.pte(base))
        # As posted: (flags & mask) != (mask | _PAGE_RW). A read gup's mask has no
        # _PAGE_RW, so the two never are the same, and it always goes the slow way.
        # The patch compares flags, not frames.
        if Foll.WRITE not in foll or not isinstance(pte, Pte) or not pte.write:
            gup_release(self.mech, cpu, page, foll)
            return None
        return page

    # mm/memory.c:follow_page --------------------------------------------------------

    def follow_page_pte(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault]:
        """As before, but an anonymous page must be writable even for a read."""
        lock = mm.page_table_lock
        yield lock.step("follow_page", "hold the page, SetPageGUP")
        lock.enter(cpu)
        pte = cpu.read(mm.pte(base))
        write = Foll.WRITE in foll
        if pte is None and not write:
            return self.hold_zero_page(cpu, foll)
        if not isinstance(pte, Pte) or (write and not pte.write):
            return NeedFault.WRITE if write else NeedFault.READ
        page = self.mech.page_of(pte)
        if page.anon:
            if not pte.write:
                return NeedFault.WRITE
            if not cpu.read(page.flag(PG_GUP)):
                cpu.rmw(page.flag(PG_GUP), lambda _: True)
        gup_grab(self.mech, cpu, page, foll)
        return page

    # mm/memory.c:copy_one_pte, copy_pte_range, fork_pre_cow ---------------------------

    def copy_present_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int
    ) -> Op[None]:
        """Share, unless the page is marked and has references beyond its PTEs."""
        mech, lock = self.mech, src.page_table_lock
        yield lock.step("copy_one_pte", "wrprotect the parent")
        lock.enter(cpu)
        pte = cpu.read(src.pte(base))
        if not isinstance(pte, Pte):
            return
        if not (vma.is_cow_mapping() and pte.write):
            share_page(mech, cpu, dst, base, pte)
            return
        lock.acquire(cpu)
        mech.ptep_set_wrprotect(cpu, src, base, pte.wrprotect())
        # gup-fast takes no lock: it may hold the page after it read the entry
        # above. So wrprotect first, look at PG_gup second. Pairs with the
        # re-read in gup_fast_pte.
        page = mech.page_of(pte)
        yield Step("copy_one_pte", "PG_gup ?")
        mech.get_page(cpu, page)
        mech.page_dup_rmap(cpu, page)
        self.smp_mb(cpu)
        forcecow = False
        if page.anon and cpu.read(page.flag(PG_GUP)):
            yield Step("copy_one_pte", "count != mapcount ?")
            if page_mapcount(cpu, page) != 2:
                raise InvariantError("refcount-leak", f"BUG_ON(page_mapcount != 2): {page!r}")
            forcecow = page_count(cpu, page) != page_mapcount(cpu, page)
        if not forcecow:
            mech.set_pte_at(cpu, dst, base, pte.wrprotect())
            lock.release(cpu)
            return
        # Stop the parent's other CPUs from storing, so that the copy is atomic.
        yield from mech.flush_tlb_range(cpu, src, base, base + PAGE_SIZE)
        yield from self.fork_pre_cow(cpu, src, dst, vma, base, page)
        # "after the page copy set the parent pte writeable again"
        now = cpu.read(src.pte(base))
        if isinstance(now, Pte):
            mech.set_pte_at(cpu, src, base, now.mkwrite())

    def fork_pre_cow(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int, page: Page
    ) -> Op[None]:
        """Give the child its copy; the page table lock is dropped meanwhile.

        The extra reference keeps the page while no lock does; the caller
        still has the mapping it counted for the child, given back here.
        """
        mech, lock = self.mech, src.page_table_lock
        mech.get_page(cpu, page)
        lock.release(cpu)
        new = mech.alloc_page(cpu, base)
        yield from mech.copy_page_for_fork(cpu, dst, base, new, page, "fork_pre_cow")
        yield lock.step("fork_pre_cow", "map the copy in the child")
        lock.enter(cpu)
        mech.page_remove_rmap(cpu, page)
        mech.put_page(cpu, page, 2)
        mech.page_add_new_anon_rmap(cpu, new)
        mech.set_pte_at(cpu, dst, base, Pte(new.pfn, vma.writable(), True))
