"""PG_gup, first version (Arcangeli, 2009-03-11).

gup marks each anonymous page it holds with PG_gup, for a read too; the mark
stays until the page is freed. fork write-protects the parent's entry, and if
the page is marked and has more references than PTEs it copies it for the child
at once and makes the parent's entry writable again. gup-fast looks at the
entry once more after it marked the page, so that fork needs no TLB flush per
page. Only who was there before fork is covered: a read gup takes a page that
is shared already.

Holds:   a device write in flight over fork belongs to the process that
         started it, and so does a device read submitted before fork.
Breaks:  a device that reads memory of a page that fork shares already receives
         the child's bytes when the parent left the page first
         (foreign-dma-read), the other side of the race (N. Piggin, 2009-03-14
         04:59). So does one whose read gup-fast has the page in hand when fork
         shares it: its second look asks for a present entry, not a writable one.
         A fork that gets no memory for a copy leaks the page, as v2's does.
Costs:   at fork one page copy and one TLB flush for each page under I/O; in
         gup-fast one atomic more on a page's first hold and a fence always.
Relies:  fork writes the entry, then reads PG_gup and the count; gup-fast
         writes count and PG_gup, then reads the entry. Whoever is second
         sees the other: both need their smp_mb().
Source:  the hunk of gup-fast and what is said of fork in document 003, mails of
         A. Arcangeli of 2009-03-11 18:22 to 20:55 (19:59 above all). The rest
         of the first patch is not in it: the fork side is taken from the second,
         Message-ID <20090316135654.GA17949@random.random> (2009-03-16), whose
         author names one difference, that gup breaks COW for a read too. So is
         what becomes of hugetlb, which his first "fixed [...] too" (03-14): fork
         copies a huge page that is marked, whether anybody holds it still or not.
Not modelled: that reclaim changes the parent's entry while fork_pre_cow() copies
         (the -EAGAIN path): what is no page any more is left alone;
         smp_mb() orders nothing under sequential consistency.
Variants: norecheck, what L. Torvalds feared on 2009-03-11 19:01. nomb.

Race: reverse-race uemu1:1111111100000022222222333300 -> foreign-dma-read

    #   io             fork          cpu               child       note             state
    --  -------------  ------------  ----------------  ----------  ---------------  ---------------
    0                  dup_mmap                                    mmap_sem for     0: 1/1 1/1
                                                                   writing
    1                  copy_one_pte                                wrprotect the    0: 1/1 1/1
                                                                   parent
    2                  copy_one_pte                                PG_gup ?         0: 2/2 1/1
    3                  copy_one_pte                                wrprotect the    0: 2/2 1/1
                                                                   parent
    4                  copy_one_pte                                PG_gup ?         0: 2/2 2/2
    5                  flush_tlb_                                  IPI to io        0: 2/2 2/2
                       others
    6                  flush_tlb_                                  IPI to cpu       0: 2/2 2/2
                       others
    7                  signal                                      forked           0: 2/2 2/2
    8   wait_for                                                   forked           0: 2/2 2/2
    9   get_user_                                                  interrupts off   0: 2/2 2/2
        pages_fast
    10  gup_pte_range                                              present ?        0: 2/2 2/2
    11  get_page                                                   hold pfn 0       0: 3/2 2/2
    12  gup_pte_range                                              SetPageGUP       0: 3/2g 2/2
    13  gup_pte_range                                              still writable   0: 3/2g 2/2
                                                                   ?
    14                               store                         b'P' -> parent   0: 3/2g 2/2
    15                               do_page_fault                 mmap_sem         0: 3/2g 2/2
    16                               do_wp_page                    mapcount == 1 ?  0: 4/2g 2/2
    17                               cow_user_page                 copy the frame   0: 4/2g 2/2 1/0
    18                               do_wp_page                    pte_same ?       -: 4/2g 2/2 1/0
    19                               flush_tlb_others              IPI to io        -: 4/2g 2/2 1/0
    20                               flush_tlb_others              IPI to fork      2: 2/1g 2/2 1/1
    21                               store                         b'P' -> parent   2: 2/1g 2/2 1/1
    22                                                 store       b'C' -> child    2: 2/1g 2/2 1/1
    23                                                 do_page_    mmap_sem         2: 2/1g 2/2 1/1
                                                       fault
    24                                                 do_wp_page  mapcount == 1 ?  2: 2/1g 2/2 1/1
    25                                                 store       b'C' -> child    2: 2/1g 2/2 1/1
    26  dma                                                        device <- pfn 0  2: 2/1g 2/2 1/1
    27  put_page                                                   release pfn 0    2: 1/1g 2/2 1/1

State: the frame the parent maps, then count/mapcount of pfn 0, 1, ...;
g: PG_gup.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.abi import PAGE_SIZE, Foll
from uemu.errors import Fault, InvariantError
from uemu.mm.compound import (
    copy_huge_page_for_fork,
    huge_add_rmap,
    huge_remove_rmap,
    make_pmd,
    share_huge,
)
from uemu.mm.fork import copy_unlocked
from uemu.mm.grab import gup_grab, gup_release
from uemu.mm.hooks import NeedFault
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, is_locked, page_count, page_mapcount
from uemu.mm.pte import AnyPte, Pte
from uemu.mm.vma import Vma
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op, Step

PG_GUP = "PG_gup"


class Arcangeli2009V1(Linux2_6_29):
    """2.6.29 with the first "fork vs gup(-fast) fix" on top."""

    name = "arcangeli-2009-v1"
    summary = "PG_gup marks held pages; fork copies a marked page with extra references"
    copy_looks = "wrprotect the parent"
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
        if not self.looks_again():
            return page
        yield Step("gup_pte_range", "still writable ?")
        pte = cpu.read(mm.pte(base))
        if not self.gup_may_keep(pte, foll):
            gup_release(self.mech, cpu, page, foll)
            return None
        return page

    def looks_again(self) -> bool:
        """Whether gup-fast makes sure, when the mark is set, that no fork came in between."""
        return self.variant != "norecheck"

    def gup_may_keep(self, pte: AnyPte, foll: Foll) -> bool:
        """Whether the flags are what the mask asks for still; the frame is not compared."""
        return isinstance(pte, Pte) and pte.user and (pte.write or Foll.WRITE not in foll)

    def gup_huge_pmd(
        self, cpu: Cpu, mm: MmStruct, base: int, pmd: Pte, nr: int, foll: Foll
    ) -> Op[list[Page] | None]:
        """The same for each page of a huge one. Linux: gup_huge_pmd, patched."""
        write = Foll.WRITE in self.hugetlb_mask(foll)
        if not pmd.user or (write and not pmd.write):
            return None
        huge, held = mm.pmd(base - base % mm.hpage_size), list[Page]()
        for page in self.pages_of_pmd(mm, base, pmd, nr):
            yield Step("get_page", f"hold pfn {page.pfn}")
            gup_grab(self.mech, cpu, page, foll)
            held.append(page)
            yield Step("gup_huge_pmd", "SetPageGUP")
            self.hugetlb_held(cpu, page)
            self.smp_mb(cpu)
            if not self.looks_again():
                continue
            yield Step("gup_huge_pmd", "still writable ?")
            now = cpu.read(huge)
            if not isinstance(now, Pte) or not now.user or (write and not now.write):
                # As posted it keeps what it has, and goes slow for the rest.
                gup_release(self.mech, cpu, held.pop(), foll)
                break
        return held

    def hugetlb_mask(self, foll: Foll) -> Foll:
        """What gup-fast asks of a huge entry."""
        return foll

    # mm/hugetlb.c:follow_hugetlb_page, copy_hugetlb_page_range --------------------------

    def hugetlb_held(self, cpu: Cpu, page: Page) -> None:
        """Mark the head."""
        if not cpu.read(page.flag(PG_GUP)):
            cpu.rmw(page.flag(PG_GUP), lambda _: True)

    def copy_huge_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int
    ) -> Op[None]:
        """Share, unless the page is marked: nobody asks for its references."""
        mech, lock, fn = self.mech, src.page_table_lock, "copy_hugetlb_page_range"
        yield lock.step(fn, "wrprotect the parent")
        lock.enter(cpu)
        orig = cpu.read(src.pmd(base))
        if not isinstance(orig, Pte):
            return
        entry, page = orig.wrprotect(), mech.page_of(orig)
        forcecow = False
        if orig.write:
            lock.acquire(cpu)
            mech.pmdp_set_wrprotect(cpu, src, base, entry)
            yield Step(fn, "PG_gup ?")
            self.smp_mb(cpu)
            forcecow = cpu.read(page.flag(PG_GUP))
        if not forcecow:
            share_huge(mech, cpu, dst, base, entry)
            lock.release(cpu)
            return
        # The child maps it until it has its copy. Nobody runs the child: it is only counted.
        mech.get_page(cpu, page)
        huge_add_rmap(mech, cpu, page)
        lock.release(cpu)
        # "force atomic copy from parent to child"
        yield from mech.flush_tlb_range(cpu, src, base, base + src.hpage_size)
        try:
            yield from self.hugetlb_cow_for_child(cpu, src, dst, base, page)
        except Fault:
            mech.set_pmd_at(cpu, src, base, orig)
            huge_remove_rmap(mech, cpu, page)
            mech.put_page(cpu, page)
            raise
        mech.set_pmd_at(cpu, src, base, orig)

    def hugetlb_cow_for_child(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, base: int, page: Page
    ) -> Op[None]:
        """hugetlb_cow() in the child, which maps the page read-only; no lock meanwhile."""
        mech, lock = self.mech, src.page_table_lock
        new = mech.alloc_compound(cpu, base, hugetlb=True)
        mech.get_page(cpu, page)
        yield from copy_huge_page_for_fork(mech, cpu, dst, base, new, page, "hugetlb_cow")
        yield lock.step("hugetlb_cow", "map the copy in the child")
        lock.enter(cpu)
        huge_add_rmap(mech, cpu, new)
        mech.set_pmd_at(cpu, dst, base, make_pmd(new, write=True))
        huge_remove_rmap(mech, cpu, page)
        mech.put_page(cpu, page, 2)

    # mm/memory.c:follow_page --------------------------------------------------------

    def follow_page_pte(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault]:
        """As before, and mark an anonymous page, for a read too."""
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
        if page.anon and self.gup_must_decow(pte):
            return NeedFault.WRITE
        if page.anon and not cpu.read(page.flag(PG_GUP)):
            cpu.rmw(page.flag(PG_GUP), lambda _: True)
        gup_grab(self.mech, cpu, page, foll)
        return page

    def gup_must_decow(self, pte: Pte) -> bool:
        """Whether the slow path breaks COW first, whatever the device will do."""
        return False

    # mm/memory.c:copy_one_pte, copy_pte_range, fork_pre_cow ---------------------------

    def copy_writable_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int, pte: Pte
    ) -> Op[None]:
        """Share, unless the page is marked and has references beyond its PTEs."""
        mech, lock = self.mech, src.page_table_lock
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
            # trylock_page() keeps reclaim out while the two are compared.
            forcecow = is_locked(cpu, page)
            if not forcecow:
                if page_mapcount(cpu, page) != 2:
                    raise InvariantError("refcount-leak", f"BUG_ON(page_mapcount != 2): {page!r}")
                cached = cpu.read(page.swap) is not None
                forcecow = page_count(cpu, page) != page_mapcount(cpu, page) + cached
        if not forcecow:
            mech.set_pte_at(cpu, dst, base, pte.wrprotect())
            lock.release(cpu)
            return
        # Stop the parent's other CPUs from storing, so that the copy is atomic.
        yield from mech.flush_tlb_range(cpu, src, base, base + PAGE_SIZE)
        try:
            yield from self.fork_pre_cow(cpu, src, dst, vma, base, page)
        except Fault:
            # -ENOMEM, under the lock again. As posted nobody gives back what was
            # counted for the child, nor the reference of fork_pre_cow().
            yield lock.step("fork_pre_cow", "no memory: the parent's writable again")
            lock.enter(cpu)
            self.mkwrite_parent(cpu, src, base)
            raise
        # "after the page copy set the parent pte writeable again"
        self.mkwrite_parent(cpu, src, base)

    def mkwrite_parent(self, cpu: Cpu, src: MmStruct, base: int) -> None:
        """Make the parent's entry writable, whatever it is now. Atomic: call inside a step."""
        now = cpu.read(src.pte(base))
        if isinstance(now, Pte):
            self.mech.set_pte_at(cpu, src, base, now.mkwrite())

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
        new = yield from copy_unlocked(mech, cpu, dst, base, page, lock, "fork_pre_cow")
        mech.page_remove_rmap(cpu, page)
        mech.put_page(cpu, page, 2)
        mech.set_pte_at(cpu, dst, base, Pte(new.pfn, vma.writable(), True))
