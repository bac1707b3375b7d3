"""Exclusive pages, second model (Hildenbrand, 2021-12): a bit for what gup has taken.

"Whenever GUP wants to pin/ref a page, we try marking it exclusive": the try
succeeds if the entry is writable or the only reference. A write fault and
fork use the bit as in the first model, and fork takes it away from a page that
nobody holds any more. "We can lose the PageAnonExclusive bit during migration
and swapout". J. Gunthorpe: 'really a "this page is GUP\'d" flag with some
sneaky logic to clear it', and he has not thought of a way to have it "without
destroying GUP fast": gup-fast marks without a lock.

Holds:   as the first model, where gup and fork do not meet.
Breaks:  gup-fast marks a page that fork has begun to share: parent and child
         both map what is called exclusive, so that both reuse it and store to
         one frame (lost-store), the parent's device too
         (dma-write-seen-by-other). A pin that write_protect_seq turns away
         leaves its mark behind all the same. What the first model breaks.
Costs:   as the first model, and an atomic at each page's first gup.
Relies:  nobody shares the page between gup's look at the entry and its mark,
         which only the page table lock could see to.
Source:  document 000, D. Hildenbrand, 2021-12-21 16:19 +0100, quoted by
         J. Gunthorpe; there is no patch. That gup-fast marks last, once it has
         seen that the entry did not move, is the plainest reading.
         Linux v5.11, as in linux-5.11, for the rest.
Not modelled: what the first model does not model.
Variants: marked-only, gup-fast takes only what slow gup has marked, and so is no
         use for a page's first time, nor after a fork that shared it.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.abi import Foll
from uemu.mm.grab import nr_refs
from uemu.mm.hooks import NeedFault
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, page_count, page_mapcount
from uemu.mm.pte import MigrationEntry, Pte, SwapEntry
from uemu.mm.vma import Vma
from uemu.policy.hildenbrand_2021_model1 import Hildenbrand2021Model1
from uemu.step import Cpu, Op, Step


class Hildenbrand2021Model2(Hildenbrand2021Model1):
    """W and F of the first model; G sets the bit."""

    name = "hildenbrand-2021-model2"
    summary = "gup marks what it takes exclusive; fork copies what is marked and held"
    variants: ClassVar = {"marked-only": "gup-fast takes only what slow gup has marked"}

    def new_anon_page(self, cpu: Cpu, page: Page) -> None:
        """Nobody has taken a fresh page."""

    def take_over(self, cpu: Cpu, page: Page) -> None:
        """Nor one that has one reference."""

    def try_to_mark(self, cpu: Cpu, pte: Pte, page: Page, foll: Foll) -> None:
        """Mark a page that gup holds by now, if no other mm can. Atomic: inside a step.

        A page with an elevated count that is mapped read-only may be anybody's.
        """
        if not page.anon or cpu.read(page.anon_exclusive):
            return
        if pte.write or page_count(cpu, page) == 1 + nr_refs(page, foll):
            self.set_anon_exclusive(cpu, page, True)

    # mm/gup.c ----------------------------------------------------------------------------

    def follow_page_pte(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault]:
        """Hold the page and mark it, under the page table lock."""
        found = yield from super().follow_page_pte(cpu, mm, vma, base, foll)
        pte = cpu.read(mm.pte(base))
        if isinstance(found, Page) and isinstance(pte, Pte):
            self.try_to_mark(cpu, pte, found, foll)
        return found

    def follow_trans_huge_pmd(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault | None]:
        """The same of a huge page: the mark is its head's."""
        found = yield from super().follow_trans_huge_pmd(cpu, mm, vma, base, foll)
        pmd = cpu.read(mm.pmd(base - base % mm.hpage_size))
        if isinstance(found, Page) and isinstance(pmd, Pte):
            self.try_to_mark(cpu, pmd, found.head, foll)
        return found

    def may_keep_huge(self, cpu: Cpu, pmd: Pte, page: Page, foll: Foll) -> Op[bool]:
        """The same of a huge entry; of hugetlb nothing is said."""
        if page.hugetlb:
            return super().may_keep_huge(cpu, pmd, page, foll)
        return self.may_keep(cpu, pmd, page, foll)

    def may_keep(self, cpu: Cpu, pte: Pte, page: Page, foll: Foll) -> Op[bool]:
        """Mark it without a lock, or see that it is marked. Linux: gup_pte_range, its end."""
        if self.variant == "marked-only":
            yield Step("gup_pte_range", "exclusive ?")
            return cpu.read(page.anon_exclusive)
        yield Step("gup_pte_range", "mark it exclusive")
        self.try_to_mark(cpu, pte, page, foll)
        return True

    # swap, migration ----------------------------------------------------------------------

    def swap_entry_for(
        self, cpu: Cpu, mm: MmStruct, page: Page, entry: SwapEntry
    ) -> Op[SwapEntry | None]:
        """The bit is lost, unless somebody holds the page."""
        kept = yield from super().swap_entry_for(cpu, mm, page, entry)
        if kept is None or self.is_taken(cpu, page):
            return kept
        return entry

    def migration_entry_for(
        self, cpu: Cpu, page: Page, entry: MigrationEntry
    ) -> Op[MigrationEntry | None]:
        """As for swap."""
        kept = yield from super().migration_entry_for(cpu, page, entry)
        if kept is None or self.is_taken(cpu, page):
            return kept
        return entry

    def is_taken(self, cpu: Cpu, page: Page) -> bool:
        """Whether anybody but PTEs, the swap cache and reclaim itself refers to the page."""
        cached = cpu.read(page.swap) is not None
        return page_count(cpu, page) > page_mapcount(cpu, page) + 1 + cached
