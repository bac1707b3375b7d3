"""Page migration: a page moves to another frame. Linux: mm/migrate.c:unmap_and_move.

Every PTE becomes a migration entry, whose faults wait for the page lock; then
the references are counted, and only a page that nobody else refers to moves.
Who holds one therefore keeps the frame that the processes see.

Not modelled: a huge page that moves whole (since v4.14): it is split first.
"""

from __future__ import annotations

from uemu.errors import Fault
from uemu.mm.mechanism import Mechanism
from uemu.mm.migration_entries import remove_migration_ptes, try_to_migrate_one
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, page_count, page_mapcount, trylock_page, unlock_page
from uemu.mm.rmap import mappings_of
from uemu.mm.split import split_huge_page
from uemu.step import Cpu, Op, Step

MIGRATED = "migrated"
"""What `migrate_page` says of a page that moved; anything else is why it did not."""


def migrate_page(mech: Mechanism, cpu: Cpu, page: Page, near: int) -> Op[str]:
    """Move one anonymous page to a fresh frame; `MIGRATED`, or why it stays.

    ``near``: the address the new frame is for.
    """
    yield Step("unmap_and_move", f"isolate and lock pfn {page.pfn}")
    if page.pfn not in mech.pages or page.reserved:
        return "it is gone"
    if not page.anon:
        return "it is shared memory"
    if not trylock_page(cpu, page):
        return "it is locked"
    mech.get_page(cpu, page)
    if page.nr > 1 and (kept := (yield from split_huge_page(mech, cpu, page))):
        unlock_page(cpu, page)
        mech.put_page(cpu, page)
        return kept
    try:
        new = mech.alloc_page(cpu, near)
    except Fault:
        unlock_page(cpu, page)
        mech.put_page(cpu, page)
        return "no page frame is left"
    for mm, base in mappings_of(mech, cpu, page):
        yield from try_to_migrate_one(mech, cpu, mm, base, page)
    yield Step("migrate_page_move_mapping", "do others refer to it ?")
    stays = _why_it_stays(cpu, page)
    if stays is None:
        yield Step("migrate_page_copy", f"pfn {page.pfn} -> pfn {new.pfn}")
        mech.copy_page(cpu, _any_mm(mech), near, new, page, "migrate_page_copy")
    yield from remove_migration_ptes(mech, cpu, page, page if stays else new)
    unlock_page(cpu, page)
    mech.put_page(cpu, new)
    mech.put_page(cpu, page)
    return stays or MIGRATED


def _why_it_stays(cpu: Cpu, page: Page) -> str | None:
    """Asked of a page that was unmapped. Linux: migrate_page_move_mapping()."""
    if page_mapcount(cpu, page):
        return "it could not be unmapped"
    # The reference of who isolated it. What is in the swap cache stays there.
    if cpu.read(page.swap) is not None:
        return "it is in the swap cache"
    return None if page_count(cpu, page) == 1 else "others refer to it"


def _any_mm(mech: Mechanism) -> MmStruct:
    return next(iter(mech.mms.values()))
