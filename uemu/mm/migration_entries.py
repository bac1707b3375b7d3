"""Migration entries: what stands in a page table while a page moves, or is split.

Linux: include/linux/swapops.h, mm/migrate.c, mm/rmap.c.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.notifier import (
    invalidate_page,
    invalidate_range_end,
    invalidate_range_start,
    notifiers_of,
)
from uemu.mm.notifier_hooks import Told
from uemu.mm.page import Page
from uemu.mm.pte import MigrationEntry, Pte
from uemu.mm.rmap import entries_where
from uemu.step import Cpu, Op, Step


def try_to_migrate_one(mech: Mechanism, cpu: Cpu, mm: MmStruct, base: int, page: Page) -> Op[None]:
    """Replace one PTE by a migration entry, and let secondary MMUs know."""
    around = mech.hooks.unmap_tells is Told.AROUND
    if around:
        yield from invalidate_range_start(cpu, mm, base, base + PAGE_SIZE)
    yield from _migrate_one(mech, cpu, mm, base, page)
    if around:
        yield from invalidate_range_end(cpu, mm, base, base + PAGE_SIZE)


def _migrate_one(mech: Mechanism, cpu: Cpu, mm: MmStruct, base: int, page: Page) -> Op[None]:
    """Replace one PTE by a migration entry, unless the policy says no.

    Linux: mm/rmap.c:try_to_migrate_one, try_to_unmap_one before v5.14.
    """
    lock = mm.page_table_lock
    yield lock.step("try_to_migrate_one", f"page_check_address in {mm.name}")
    lock.enter(cpu)
    pte = cpu.read(mm.pte(base))
    if not isinstance(pte, Pte) or pte.pfn != page.pfn:
        return
    if mech.hooks.unmap_tells is Told.BEFORE and notifiers_of(cpu, mm):
        yield from invalidate_page(cpu, mm, base)
        yield Step("try_to_migrate_one", "clear the entry")
    lock.acquire(cpu)
    mech.ptep_get_and_clear(cpu, mm, base)
    yield from mech.flush_tlb_range(cpu, mm, base, base + PAGE_SIZE)
    if mech.hooks.unmap_tells is Told.AFTER:
        yield from invalidate_page(cpu, mm, base)
    entry = yield from mech.hooks.migration_entry_for(cpu, page, MigrationEntry(pte))
    if entry is None:
        mech.set_pte_at(cpu, mm, base, pte)
    else:
        mech.set_pte_at(cpu, mm, base, entry)
        mech.page_remove_rmap(cpu, page)
        mech.put_page(cpu, page)
    lock.release(cpu)


def remove_migration_ptes(mech: Mechanism, cpu: Cpu, old: Page, new: Page) -> Op[None]:
    """Map ``new`` wherever an entry waits for ``old``. Linux: remove_migration_ptes()."""
    yield Step("remove_migration_ptes", f"walk the rmap of pfn {old.pfn}")
    cpu.touch(("rmap", old.pfn), write=False)
    # Asked again each time: fork may have given a child such an entry meanwhile.
    while waiting := next(entries_where(mech, lambda entry: _waits_for(entry, old)), None):
        mm, base = waiting
        lock = mm.page_table_lock
        yield lock.step("remove_migration_pte", f"map pfn {new.pfn} in {mm.name}")
        lock.enter(cpu)
        entry = cpu.read(mm.pte(base))
        if not isinstance(entry, MigrationEntry) or not _waits_for(entry, old):
            continue
        mech.get_page(cpu, new)
        mech.page_dup_rmap(cpu, new)
        mech.hooks.migrated(cpu, new, entry)
        mech.set_pte_at(cpu, mm, base, entry.pte._replace(pfn=new.pfn))


def _waits_for(entry: object, page: Page) -> bool:
    return isinstance(entry, MigrationEntry) and entry.pte.pfn == page.pfn


def migration_entry_wait(mech: Mechanism, cpu: Cpu, mm: MmStruct, base: int) -> Op[None]:
    """Wait until the page under an entry is unlocked; who faulted looks again.

    Linux: mm/migrate.c:migration_entry_wait.
    """
    entry = mm.pte(base).peek()
    assert isinstance(entry, MigrationEntry)
    cell = mm.pte(base)
    locked = mech.page_of(entry.pte).locked
    yield Step(
        "migration_entry_wait",
        f"pfn {entry.pte.pfn} is unlocked",
        lambda: cell.peek() is not entry and not locked.peek(),
    )
    cpu.read(cell)
    cpu.read(locked)
