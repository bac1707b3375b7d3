"""Linux 5.19: PG_anon_exclusive says whose page it is.

An anonymous page that one mm alone maps carries PG_anon_exclusive. An
exclusive page is reused on a write fault without another question, whoever
holds it. fork clears the bit and shares, unless the page may be pinned: then
the child gets a copy and the bit stays. A read-only pin of a page that is not
exclusive first unshares it. It is hildenbrand-2021-model1 but for those two:
fork copies for pins alone, and pins unshare.

Holds:   every FOLL_PIN, read or write, stays with the page its owner sees,
         over fork, mprotect and a child that comes and goes.
         Of hugetlb, too, which fork copies since v5.12.
Breaks:  what only gets (O_DIRECT up to 6.4, vmsplice to this day) is lost
         over fork as in 5.9 (lost-dma-write); of hugetlb, whose write fault asks
         the mapcount as ever, a child takes the device's frames over
         (dma-write-seen-by-other, foreign-dma-read), or keeps them in a pipe and
         reads what the parent stores (secret-leak). fork's copy is no snapshot,
         as in 5.9 (torn-fork-copy).
Costs:   as 5.9, and an unshare copy for a read-only pin of a shared page.
Relies:  write_protect_seq: fork makes it odd, gup-fast with FOLL_PIN fails if
         it was odd or moved (since v5.11).
Source:  Linux v5.19, mm/memory.c, mm/gup.c, include/linux/rmap.h; document
         001, the cover letter of the series (D. Hildenbrand, 2022-04-28).
         Since Linux kernel commits 6c287605fd56 ("mm: remember exclusively
         mapped anonymous pages with PG_anon_exclusive"), c89357e27f20 ("mm:
         support GUP-triggered unsharing of anonymous pages"), a7f226604170
         ("mm/gup: trigger FAULT_FLAG_UNSHARE when R/O-pinning a possibly
         shared anonymous page"), 57efa1fe5957 ("mm/gup: prevent gup_fast
         from racing with COW during fork"), d4c470970d45 ("mm: optimize
         do_wp_page() for fresh pages in local LRU pagevecs"); for hugetlb
         4eae4efa2c29 ("hugetlb: do early cow when page pinned on src mm") (in
         v5.12) and 623a1ddfeb23 ("mm/hugetlb: take src_mm->write_protect_seq in
         copy_hugetlb_page_range()").
         THP: a huge entry has one bit, its head's, which each page gets when the
         entry is split; mm/huge_memory.c:copy_huge_pmd, do_huge_pmd_wp_page.
         Since Linux kernel commit 3bff7e3f1f16 ("mm/huge_memory: streamline COW
         logic in do_huge_pmd_wp_page()") (in v5.18) page_count is asked of it, too.
Not modelled: what `uemu.mm.thp` leaves out.
Variants: hugetlb-no-seq, without 623a1ddfeb23, as from v5.12 to v5.18; of hugetlb it
         does not complain, either, as CONFIG_DEBUG_VM does not yet, so that the
         harm itself is seen.

Race: hugetlb-pin-vs-fork uemu1:1110000000111111111100
    -> lost-dma-write, dma-write-seen-by-other (hugetlb-no-seq)

    #   io                      fork                     note             state
    --  ----------------------  -----------------------  ---------------  -------------------------
    0                           dup_mmap                 mmap_lock for    0: 1/1e ~ ~ ~
                                                         writing
    1                           copy_hugetlb_page_range  exclusive and    0: 1/1e ~ ~ ~
                                                         pinned ?
    2                           page_try_dup_anon_rmap   no longer        0: 1/1 ~ ~ ~
                                                         exclusive
    3   internal_get_user_                               mm has_pinned    0: 1/1 ~ ~ ~
        pages_fast
    4   lockless_pages_from_mm                           write_protect_   0: 1/1 ~ ~ ~
                                                         seq even ?
    5   get_user_pages_fast                              interrupts off   0: 1/1 ~ ~ ~
    6   gup_pmd_range                                    huge ?           0: 1/1 ~ ~ ~
    7   try_grab_folio                                   hold pfn 0       0: 1+p/1 ~ ~ ~
    8   gup_huge_pmd                                     pmd_same ?       0: 1+p/1 ~ ~ ~
    9   lockless_pages_from_mm                           write_protect_   0: 1+p/1 ~ ~ ~
                                                         seq same ?
    10                          copy_hugetlb_page_range  share read-only  0: 2+p/2 ~ ~ ~
    11                          flush_tlb_others         IPI to io        0: 2+p/2 ~ ~ ~
    12                          store                    b'P' -> parent   0: 2+p/2 ~ ~ ~
    13                          do_user_addr_fault       mmap_lock        0: 2+p/2 ~ ~ ~
    14                          hugetlb_fault            mutex of         0: 2+p/2 ~ ~ ~
                                                         hugetlb
    15                          hugetlb_fault            pte_same ?       0: 3+p/2 ~ ~ ~
    16                          copy_huge_page           copy the frames  0: 3+p/2 ~ ~ ~ 1/0 ~ ~ ~
    17                          hugetlb_cow              pte_same ?       -: 3+p/2 ~ ~ ~ 1/0 ~ ~ ~
    18                          flush_tlb_others         IPI to io        4: 1+p/1 ~ ~ ~ 1/1e ~ ~ ~
    19                          store                    b'P' -> parent   4: 1+p/1 ~ ~ ~ 1/1e ~ ~ ~
    20  dma                                              b'D' -> pfn 0    4: 1+p/1 ~ ~ ~ 1/1e ~ ~ ~
    21  release                                          release pfn 0    4: 1/1 ~ ~ ~ 1/1e ~ ~ ~

State: the frame the parent maps, then count/mapcount of pfn 0, 1, ...; +p a pin,
e PG_anon_exclusive, ~ its head's.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.abi import Foll
from uemu.errors import InvariantError
from uemu.mm.compound import share_huge
from uemu.mm.hooks import NeedFault
from uemu.mm.hugetlb import copy_huge_pte_unlocked
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, page_count, page_maybe_dma_pinned
from uemu.mm.pagevec import is_lru, lru_add_drain
from uemu.mm.pte import Pte, SwapEntry
from uemu.mm.vma import Vma
from uemu.policy.hildenbrand_2021_model1 import Hildenbrand2021Model1
from uemu.step import Cpu, Op, Step


class Linux5_19(Hildenbrand2021Model1):
    """The first of the two models: F copies for pins alone, and read-only pins unshare."""

    name = "linux-5.19"
    year = 2022
    try_grab_fn = "try_grab_folio"
    copy_looks = "exclusive and pinned ?"
    thp_copy_looks = "exclusive and pinned ?"
    dup_fn = "page_try_dup_anon_rmap"
    variants: ClassVar = {
        "hugetlb-no-seq": "copy_hugetlb_page_range leaves write_protect_seq alone, as up to v5.18"
    }
    hugetlb_moves = True
    hugetlb_dontneed = True
    summary = "PG_anon_exclusive decides reuse; read-only pins unshare; O_DIRECT is a get"

    def gup_mark_mm(self, cpu: Cpu, mm: MmStruct, foll: Foll) -> None:
        """A locked set_bit(), unless it is set. Linux: mm_set_has_pinned_flag()."""
        if Foll.PIN in foll and not cpu.read(mm.has_pinned):
            cpu.rmw(mm.has_pinned, lambda _: True)

    def before_the_count(self, cpu: Cpu, page: Page) -> None:
        """If it may be this CPU's pagevec that refers to a page, drain it. Since v5.18.

        Of more than three references that cannot be all. Linux: do_wp_page().
        """
        if not is_lru(self.mech, cpu, page) and page_count(cpu, page) <= 3:
            lru_add_drain(self.mech, cpu)

    # fork -------------------------------------------------------------------------------

    def fork_must_copy(self, cpu: Cpu, src: MmStruct, page: Page) -> bool:
        """A get is shared like any page. Linux: page_try_dup_anon_rmap()."""
        return self.page_needs_cow_for_dma(cpu, src, page)

    # hugetlb: mm/hugetlb.c ----------------------------------------------------------------

    def new_huge_page(self, cpu: Cpu, page: Page) -> None:
        """It is exclusive. Linux: hugepage_add_new_anon_rmap()."""
        self.set_anon_exclusive(cpu, page, True)

    def copy_hugetlb_begin(self, cpu: Cpu, src: MmStruct) -> Op[None]:
        """As around other COW mappings. Linux: copy_hugetlb_page_range (since v5.19)."""
        if self.variant != "hugetlb-no-seq":
            yield from self.write_protect_begin(cpu, src, "copy_hugetlb_page_range")

    def copy_hugetlb_end(self, cpu: Cpu, src: MmStruct) -> Op[None]:
        """Whoever pins by gup-fast may do so again."""
        if self.variant != "hugetlb-no-seq":
            yield from self.write_protect_end(cpu, src, "copy_hugetlb_page_range")

    def copy_huge_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int
    ) -> Op[None]:
        """Copy what is exclusive and may be pinned, else clear the bit and share."""
        lock = src.page_table_lock
        yield lock.step("copy_hugetlb_page_range", self.copy_looks)
        lock.enter(cpu)
        while isinstance(pmd := cpu.read(src.pmd(base)), Pte):
            page = self.mech.page_of(pmd)
            exclusive = cpu.read(page.anon_exclusive)
            if not exclusive or not self.page_needs_cow_for_dma(cpu, src, page):
                yield from self.share_huge_pte(cpu, src, dst, base, pmd, exclusive=exclusive)
                return
            if (yield from copy_huge_pte_unlocked(self.mech, cpu, src, dst, base, pmd)):
                return

    def share_huge_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, base: int, pmd: Pte, *, exclusive: bool
    ) -> Op[None]:
        """The rest of it, in the step that looked at ``pmd`` and under the same lock."""
        lock, pmd = src.page_table_lock, pmd.wrprotect()
        lock.acquire(cpu)
        if exclusive:
            yield Step("page_try_dup_anon_rmap", "no longer exclusive")
            self.set_anon_exclusive(cpu, self.mech.page_of(pmd), False)
        yield Step("copy_hugetlb_page_range", "share read-only")
        self.mech.pmdp_set_wrprotect(cpu, src, base, pmd)
        share_huge(self.mech, cpu, dst, base, pmd)
        lock.release(cpu)

    def hugetlb_reused(self, cpu: Cpu, page: Page) -> None:
        """What one entry maps is exclusive. Linux: hugetlb_cow, page_move_anon_rmap()."""
        if not cpu.read(page.anon_exclusive):
            self.set_anon_exclusive(cpu, page, True)

    def hugetlb_must_unshare(self, cpu: Cpu, page: Page, foll: Foll) -> bool:
        """As a small page. Linux: __follow_hugetlb_must_fault."""
        pin = Foll.PIN in foll and Foll.WRITE not in foll
        return pin and not cpu.read(page.anon_exclusive)

    # swap: mm/rmap.c, mm/memory.c ---------------------------------------------------------

    def try_share(self, cpu: Cpu, page: Page) -> Op[bool]:
        """Take the bit from what is not pinned. Linux: page_try_share_anon_rmap().

        The entry is cleared first and the pin looked for second, against a gup-fast
        that pins first and looks at the entry second.
        """
        yield Step("page_try_share_anon_rmap", "pinned ?")
        return not page_maybe_dma_pinned(cpu, page) and (yield from super().try_share(cpu, page))

    def swap_in_pte(self, cpu: Cpu, vma: Vma, page: Page, entry: SwapEntry, *, write: bool) -> Pte:
        """A store drains this CPU's pagevec first. Linux: do_swap_page (since v5.18)."""
        if write and not is_lru(self.mech, cpu, page):
            lru_add_drain(self.mech, cpu)
        return super().swap_in_pte(cpu, vma, page, entry, write=write)

    # mm/gup.c ----------------------------------------------------------------------------

    def must_unshare(self, cpu: Cpu, pte: Pte, page: Page, foll: Foll) -> bool:
        """Whether a read-only pin needs an exclusive page first. Linux: gup_must_unshare()."""
        if Foll.WRITE in foll or Foll.PIN not in foll or not page.anon:
            return False
        return not cpu.read(page.anon_exclusive)

    def check_pinned(self, cpu: Cpu, page: Page) -> None:
        """A pinned anonymous page is exclusive. Linux: sanity_check_pinned_pages()."""
        if page.hugetlb and self.variant == "hugetlb-no-seq":
            return
        if not page.anon or cpu.read(page.anon_exclusive):
            return
        # In a huge entry the bit is the head's.
        if not cpu.read(page.head.anon_exclusive):
            raise InvariantError("not-exclusive", f"{page!r} is pinned and not exclusive")

    def fault_before_hold(self, cpu: Cpu, pte: Pte, page: Page, foll: Foll) -> NeedFault | None:
        """Unsharing, where that is needed. Linux: follow_page_pte, gup_must_unshare()."""
        unshares = not pte.write and self.must_unshare(cpu, pte, page, foll)
        return NeedFault.UNSHARE if unshares else None

    def follow_page_pte(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault]:
        """As before, and a pin is of an exclusive page."""
        found = yield from super().follow_page_pte(cpu, mm, vma, base, foll)
        if isinstance(found, Page) and Foll.PIN in foll:
            self.check_pinned(cpu, found)
        return found

    def may_keep_huge(self, cpu: Cpu, pmd: Pte, page: Page, foll: Foll) -> Op[bool]:
        """The same of a huge entry. Linux: gup_huge_pmd."""
        if pmd.write or Foll.WRITE in foll or Foll.PIN not in foll:
            return True
        yield Step("gup_must_unshare", "exclusive ?")
        return cpu.read(page.anon_exclusive)

    def follow_trans_huge_pmd(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault | None]:
        """The same of a huge page."""
        found = yield from super().follow_trans_huge_pmd(cpu, mm, vma, base, foll)
        if isinstance(found, Page) and Foll.PIN in foll:
            self.check_pinned(cpu, found)
        return found

    def may_keep(self, cpu: Cpu, pte: Pte, page: Page, foll: Foll) -> Op[bool]:
        """Leave to the slow path what must be unshared. Linux: gup_must_unshare()."""
        if pte.write or Foll.WRITE in foll or Foll.PIN not in foll:
            return True
        yield Step("gup_must_unshare", "exclusive ?")
        return not self.must_unshare(cpu, pte, page, foll)
