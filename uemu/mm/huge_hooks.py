"""The questions about huge pages: what fork, a write fault and gup do with one.

The defaults are Linux 2.6.29's, which has no transparent ones. A huge page of
hugetlb has functions of its own for each, so that what a kernel changes for
small pages leaves it as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from uemu.abi import PAGE_SIZE, Foll
from uemu.mm.compound import share_huge
from uemu.mm.grab import gup_grab
from uemu.mm.page import Page, page_count
from uemu.mm.pte import Pte
from uemu.step import Cpu, Op, Step

if TYPE_CHECKING:
    from uemu.mm.hooks import NeedFault
    from uemu.mm.mechanism import Mechanism
    from uemu.mm.mm_struct import MmStruct
    from uemu.mm.vma import Vma


def hold_label(pages: list[Page]) -> str:
    """What a step says that holds pages of one huge page."""
    last = f"-{pages[-1].pfn}" if len(pages) > 1 else ""
    return f"hold pfn {pages[0].pfn}{last}"


class HugetlbHooks:
    """Pages of hugetlb: mm/hugetlb.c.

    Attributes:
        has_hugetlb: whether a private mapping of hugetlb is copied on write (since
            v2.6.16); before, it was shared all the same, or refused.
        hugetlb_reads_zero_page: whether a read gup of a huge page that nobody touched
            takes the page of zeros and maps nothing.
        hugetlb_forced_writes: whether FOLL_FORCE writes where VM_WRITE is missing
            (up to v6.1).
        hugetlb_cow_fn: what that kernel calls `uemu.mm.hugetlb.hugetlb_cow`.
        hugetlb_moves: whether mremap takes such a mapping (since v5.16).
        hugetlb_dontneed: whether MADV_DONTNEED does (since v5.18).
    """

    mech: Mechanism
    has_hugetlb: ClassVar[bool] = True
    hugetlb_reads_zero_page: ClassVar[bool] = True
    hugetlb_forced_writes: ClassVar[bool] = True
    hugetlb_cow_fn: ClassVar[str] = "hugetlb_cow"
    hugetlb_moves: ClassVar[bool] = False
    hugetlb_dontneed: ClassVar[bool] = False

    def new_huge_page(self, cpu: Cpu, page: Page) -> None:
        """A fresh huge page is about to be mapped by one mm. Atomic: call inside a step."""

    # fork: copy_hugetlb_page_range ----------------------------------------------------

    def copy_hugetlb_begin(self, cpu: Cpu, src: MmStruct) -> Op[None]:
        """Before fork copies the entries of a hugetlb mapping."""
        return
        yield  # pragma: no cover

    def copy_hugetlb_end(self, cpu: Cpu, src: MmStruct) -> Op[None]:
        """After it did."""
        return
        yield  # pragma: no cover

    def copy_huge_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int
    ) -> Op[None]:
        """Write-protect both, share, under both page table locks."""
        lock = src.page_table_lock
        yield lock.step("copy_hugetlb_page_range", "share read-only")
        lock.enter(cpu)
        pmd = cpu.read(src.pmd(base))
        if isinstance(pmd, Pte):
            pmd = pmd.wrprotect()
            self.mech.pmdp_set_wrprotect(cpu, src, base, pmd)
            share_huge(self.mech, cpu, dst, base, pmd)

    # write fault: hugetlb_cow ---------------------------------------------------------

    def hugetlb_may_reuse(self, cpu: Cpu, page: Page) -> bool:
        """Whether a write fault takes the page over. Atomic: inside a step."""
        return page_count(cpu, page) == 1

    def hugetlb_reused(self, cpu: Cpu, page: Page) -> None:
        """It does. Atomic: inside a step."""

    # get_user_pages: follow_hugetlb_page, gup_huge_pmd --------------------------------

    def hugetlb_foll(self, vma: Vma, foll: Foll) -> Foll:
        """How slow gup looks up a huge page; with FOLL_WRITE it breaks COW."""
        return foll

    def hugetlb_must_unshare(self, cpu: Cpu, page: Page, foll: Foll) -> bool:
        """Whether a page that is mapped read-only wants an unshare fault. Atomic: in a step."""
        return False

    def hugetlb_held(self, cpu: Cpu, page: Page) -> None:
        """Slow gup holds a page by now. Atomic: in the step that took it."""

    def gup_huge_pmd(
        self, cpu: Cpu, mm: MmStruct, base: int, pmd: Pte, nr: int, foll: Foll
    ) -> Op[list[Page] | None]:
        """Hold ``nr`` pages of a huge page from ``base`` on; fewer, or None: the rest goes slow.

        The entry was read in the step under way, interrupts off; all references
        are taken at once. Linux: arch/x86/mm/gup.c:gup_huge_pmd.
        """
        if not pmd.user or (Foll.WRITE in foll and not pmd.write):
            return None
        pages = self.pages_of_pmd(mm, base, pmd, nr)
        yield Step("get_head_page_multiple", hold_label(pages))
        self.grab_huge(cpu, pages, foll)
        return pages

    def pages_of_pmd(self, mm: MmStruct, base: int, pmd: Pte, nr: int) -> list[Page]:
        """The pages that a huge entry maps, from ``base`` on. Linux: record_subpages()."""
        first = pmd.pfn + base % mm.hpage_size // PAGE_SIZE
        return [self.mech.pages[pfn] for pfn in range(first, first + nr)]

    def grab_huge(self, cpu: Cpu, pages: list[Page], foll: Foll) -> None:
        """Hold pages of one huge page, by one instruction. Atomic: call inside a step."""
        gup_grab(self.mech, cpu, pages[0], foll, len(pages))


class ThpHooks:
    """Transparent huge pages: mm/huge_memory.c; the mechanism is `uemu.mm.thp`.

    Attributes:
        has_thp: whether there are any (since v2.6.38).
        thp_cow_copies_all: whether a write fault copies what it may not reuse, all of
            it (up to v5.7); else its entry is split, and do_wp_page decides.
        thp_copy_looks, thp_wp_looks: what fork and a write fault do in the step that
            looks at a huge entry, for drawings.
    """

    has_thp: ClassVar[bool] = False
    thp_cow_copies_all: ClassVar[bool] = False
    thp_copy_looks: ClassVar[str] = "share read-only"
    thp_wp_looks: ClassVar[str] = "mapcount == 1 ?"

    def thp_fork_splits(self, cpu: Cpu, src: MmStruct, page: Page) -> bool:
        """Whether fork may not share a huge page, and copies it in pieces. Atomic: in a step."""
        return False

    def thp_fork_shares(self, cpu: Cpu, src: MmStruct, pmd: Pte, page: Page) -> Op[None]:
        """It may, and is about to; begins in the step that looked, may keep the lock."""
        return
        yield  # pragma: no cover

    def thp_reuse(self, cpu: Cpu, mm: MmStruct, base: int, pmd: Pte, page: Page) -> Op[bool | None]:
        """Whether a write fault takes a huge page over; None if the entry is not ``pmd`` any more.

        Begins and ends in a step that has the page table lock, which it may keep.
        """
        return False
        yield  # pragma: no cover

    def thp_was_split(self, cpu: Cpu, pages: list[Page]) -> None:
        """Single entries are about to map ``pages``, the head first. Atomic: in a step."""

    def follow_trans_huge_pmd(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault | None]:
        """As follow_page_pte, of a page in a huge entry; None: there is no such entry now."""
        return None
        yield  # pragma: no cover
