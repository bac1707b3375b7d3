"""A huge page becomes many small ones. Linux: mm/huge_memory.c:split_huge_page_to_list.

Reclaim, KSM and migration want single pages, and this is how they get them from a
transparent huge page. Unlike the split of an entry (`uemu.mm.thp`) it ends the compound
page: whose references are counted in one place cannot be told apart, so it is not
done while anybody but entries refers to any part. What is held in part therefore is
neither swapped, merged nor moved, under every kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

from uemu.mm.mechanism import Mechanism
from uemu.mm.migration_entries import remove_migration_ptes, try_to_migrate_one
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, page_count, page_mapcount
from uemu.mm.pagevec import PG_LRU
from uemu.mm.pte import Pte
from uemu.mm.rmap import mappings_of
from uemu.mm.thp import split_huge_pmd
from uemu.step import Cpu, Op, Step

HELD = "others refer to the huge page it belongs to"
"""Why a page stays part of a huge one."""


def split_huge_page(mech: Mechanism, cpu: Cpu, page: Page) -> Op[str | None]:
    """Make single pages of the huge one that ``page`` is a part of; why not, or None.

    Precondition: the caller has the page lock and one reference; then he has those of
    ``page``. Every entry becomes one of a single page, whatever comes of it, and waits
    meanwhile: so gup-fast finds none of them, and the count can be asked.
    """
    pages = mech.subpages(page)
    yield Step("split_huge_page_to_list", "can_split_huge_page ?")
    if not _can_split(mech, cpu, pages):
        return HELD
    for mm, haddr in _huge_mappings(mech, cpu, pages[0]):
        yield from split_huge_pmd(mech, cpu, mm, haddr)
    for each in pages:
        for mm, base in mappings_of(mech, cpu, each):
            yield from try_to_migrate_one(mech, cpu, mm, base, each)
    yield Step("split_huge_page_to_list", "page_ref_freeze", locked=True)
    # A cmpxchg, which fails if there is any other reference.
    alone = cpu.rmw(pages[0].refcount, lambda count: count) == 1
    frozen = alone and not any(page_mapcount(cpu, each) for each in pages)
    if frozen:
        _split(mech, cpu, pages)
    for each in pages:
        yield from remove_migration_ptes(mech, cpu, each, each)
    if not frozen:
        return HELD
    if page is not pages[0]:
        cpu.rmw(page.locked, lambda _: True)
        cpu.rmw(pages[0].locked, lambda _: False)
    for each in pages:
        if each is not page:
            mech.put_page(cpu, each)
    return None


def _can_split(mech: Mechanism, cpu: Cpu, pages: Sequence[Page]) -> bool:
    """Whether entries and the caller have all references. Linux: can_split_huge_page()."""
    huge = len(_huge_mappings(mech, cpu, pages[0]))
    single = sum(len(mappings_of(mech, cpu, page)) for page in pages) - huge * len(pages)
    return page_count(cpu, pages[0]) == huge + single + 1


def _huge_mappings(mech: Mechanism, cpu: Cpu, head: Page) -> list[tuple[MmStruct, int]]:
    """Who maps a huge page by a huge entry, and where. Atomic: inside a step."""
    cpu.touch(("rmap", head.pfn), write=False)
    return [
        (mm, haddr)
        for mm in mech.mms.values()
        for haddr, cell in mm.pmds.items()
        if isinstance(pmd := cell.peek(), Pte) and pmd.pfn == head.pfn
    ]


def _split(mech: Mechanism, cpu: Cpu, pages: Sequence[Page]) -> None:
    """Give each page counts of its own, and one reference. Linux: __split_huge_page()."""
    pages[0].split_compound_page(pages[1:])
    for page in pages[1:]:
        mech.note_in_hand(cpu, page, 1)
        if mech.pagevecs is not None:
            cpu.rmw(page.flag(PG_LRU), lambda _: True)
