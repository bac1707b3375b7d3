"""Reclaim: the kernel wants a frame for itself. Linux: mm/vmscan.c:shrink_page_list.

The stations of one page: taken from its LRU list with a reference and locked;
given a slot of swap; unmapped from each address space, mm by mm; written; and,
if nobody else refers to it, freed. At each the policy may say no, and what was
done until then stays done: a page with references is unmapped and written, and
stays in the swap cache.

Not modelled: a huge page that is swapped whole (THP_SWAP, since v4.13): it is split,
as where swap has no room for it in one piece; LRU lists and their order (who calls
chooses the page); batching of unmaps under one lock; clustered swap-out.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.events import SwappedOut
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.notifier import (
    clear_flush_young,
    invalidate_page,
    invalidate_range_end,
    invalidate_range_start,
    notifiers_of,
)
from uemu.mm.notifier_hooks import Told
from uemu.mm.page import Page, page_count, page_mapcount, trylock_page, unlock_page
from uemu.mm.pte import Pte, SwapEntry
from uemu.mm.rmap import mappings_of
from uemu.mm.split import split_huge_page
from uemu.mm.swap import (
    add_to_swap_cache,
    delete_from_swap_cache,
    swap_duplicate,
    write_to_slot,
)
from uemu.step import Cpu, Op, Step

FREED = "freed"
"""What `shrink_page` says of a page that is gone; anything else is why it was kept."""


def shrink_page(mech: Mechanism, cpu: Cpu, page: Page) -> Op[str]:
    """Try to free one anonymous page; `FREED`, or why it is kept."""
    yield Step("shrink_page_list", f"isolate and lock pfn {page.pfn}", locked=True)
    if page.pfn not in mech.pages or page.reserved:
        return "it is gone"
    if not page.anon:
        return "it is shared memory"
    if not trylock_page(cpu, page):
        return "it is locked"
    mech.get_page(cpu, page)
    kept = (yield from split_huge_page(mech, cpu, page)) if page.nr > 1 else None
    if kept is None:
        kept = yield from _unmap_locked(mech, cpu, page)
    if kept is None and cpu.read(page.dirty):
        # A reference of the cache, and the one above: Linux: is_page_cache_freeable.
        if page_count(cpu, page) != 2:
            kept = "others refer to it"
        elif not (yield from pageout(mech, cpu, page)):
            mech.put_page(cpu, page)
            return "it was locked again"
    if kept is None:
        yield Step("__remove_mapping", "page_count == 2 ?", locked=True)
        if remove_mapping(mech, cpu, page):
            return FREED
        kept = "others refer to it"
    unlock_page(cpu, page)
    mech.put_page(cpu, page)
    return kept


def _unmap_locked(mech: Mechanism, cpu: Cpu, page: Page) -> Op[str | None]:
    """Give the page swap and unmap it; why it is kept, or None, in the step that found out."""
    hooks = mech.hooks
    if cpu.read(page.writeback):
        return "it is under writeback"
    if (yield from page_referenced(mech, cpu, page)):
        return "it is referenced"
    if cpu.read(page.swap) is None:
        if not hooks.may_add_to_swap(cpu, page):
            return "it is not given swap"
        yield Step("add_to_swap", f"a slot for pfn {page.pfn}", locked=True)
        add_to_swap_cache(mech, cpu, page, mech.swap.alloc())
        cpu.write(page.dirty, True)
    if page_mapcount(cpu, page) and not (yield from try_to_unmap(mech, cpu, page)):
        return "it could not be unmapped"
    yield Step("shrink_page_list", "dirty ?")
    return None


def page_referenced(mech: Mechanism, cpu: Cpu, page: Page) -> Op[bool]:
    """Whether somebody used the page since this was last asked. Linux: mm/rmap.c:page_referenced.

    Not modelled: the accessed bits of the entries, so that secondary MMUs alone are asked.
    """
    if mech.hooks.page_referenced(cpu, page):
        return True
    referenced = False
    if any(notifiers_of(cpu, mm) for mm in mech.mms.values()):
        for mm, base in mappings_of(mech, cpu, page):
            lock = mm.page_table_lock
            yield lock.step("page_referenced_one", f"young in {mm.name} ?")
            lock.enter(cpu)
            pte = cpu.read(mm.pte(base))
            if isinstance(pte, Pte) and pte.pfn == page.pfn:
                referenced |= yield from clear_flush_young(cpu, mm, base)
            lock.release(cpu)
    return referenced


def pageout(mech: Mechanism, cpu: Cpu, page: Page) -> Op[bool]:
    """Write a dirty page to its slot, unlocked meanwhile; whether it could be locked again.

    Linux: pageout, swap_writepage, end_swap_bio_write.
    """
    yield Step("pageout", f"write pfn {page.pfn} to swap", locked=True)
    slot = cpu.read(page.swap)
    assert slot is not None
    cpu.write(page.dirty, False)
    cpu.write(page.writeback, True)
    unlock_page(cpu, page)
    yield Step("end_swap_bio_write", f"pfn {page.pfn} is written", locked=True)
    write_to_slot(mech, cpu, page, slot)
    cpu.rmw(page.writeback, lambda _: False)
    yield Step("shrink_page_list", "lock it again", locked=True)
    return trylock_page(cpu, page)


def remove_mapping(mech: Mechanism, cpu: Cpu, page: Page) -> bool:
    """Free a locked page that only the swap cache and reclaim refer to; whether it is gone.

    Linux: mm/vmscan.c:__remove_mapping. Atomic: call inside a step.
    """
    slot = cpu.read(page.swap)
    if slot is None or page_count(cpu, page) != 2 or cpu.read(page.dirty):
        return False
    frame, data = mech.frames.read(page.pfn, 0, PAGE_SIZE), cpu.read(slot.data)
    mech.publish(SwappedOut, cpu.name, page.pfn, slot.number, frame, data or b"")
    delete_from_swap_cache(mech, cpu, page)
    unlock_page(cpu, page)
    mech.put_page(cpu, page)
    return True


def try_to_unmap(mech: Mechanism, cpu: Cpu, page: Page) -> Op[bool]:
    """Replace every PTE of a cached page by its swap entry; whether none is left.

    Linux: mm/rmap.c:try_to_unmap_anon.
    """
    yield Step("try_to_unmap", f"walk the rmap of pfn {page.pfn}")
    for mm, base in mappings_of(mech, cpu, page):
        yield from mech.hooks.unmap_begin(cpu, mm, page)
        yield from try_to_unmap_one(mech, cpu, mm, base, page)
        yield from mech.hooks.unmap_end(cpu, mm, page)
    yield Step("try_to_unmap", "mapped still ?")
    return page_mapcount(cpu, page) == 0


def try_to_unmap_one(mech: Mechanism, cpu: Cpu, mm: MmStruct, base: int, page: Page) -> Op[None]:
    """Replace one PTE, and let secondary MMUs know."""
    around = mech.hooks.unmap_tells is Told.AROUND
    if around:
        yield from invalidate_range_start(cpu, mm, base, base + PAGE_SIZE)
    yield from _unmap_one(mech, cpu, mm, base, page)
    if around:
        yield from invalidate_range_end(cpu, mm, base, base + PAGE_SIZE)


def _unmap_one(mech: Mechanism, cpu: Cpu, mm: MmStruct, base: int, page: Page) -> Op[None]:
    """Replace one PTE, unless the policy says no before or after it is cleared.

    Linux: mm/rmap.c:try_to_unmap_one.
    """
    lock = mm.page_table_lock
    yield lock.step("try_to_unmap_one", f"page_check_address in {mm.name}")
    lock.enter(cpu)
    pte = cpu.read(mm.pte(base))
    slot = cpu.read(page.swap)
    if not isinstance(pte, Pte) or pte.pfn != page.pfn or slot is None:
        return
    if not (yield from mech.hooks.unmap_looks(cpu, mm, base, page)):
        lock.release(cpu)
        return
    lock.acquire(cpu)
    mech.ptep_get_and_clear(cpu, mm, base)
    yield from mech.flush_tlb_range(cpu, mm, base, base + PAGE_SIZE)
    if mech.hooks.unmap_tells is Told.AFTER:
        yield from invalidate_page(cpu, mm, base)
    entry = yield from mech.hooks.swap_entry_for(cpu, mm, page, SwapEntry(slot.number))
    if entry is None:
        mech.set_pte_at(cpu, mm, base, pte)
        lock.release(cpu)
        return
    if pte.dirty:
        cpu.write(page.dirty, True)
    swap_duplicate(cpu, slot)
    mech.set_pte_at(cpu, mm, base, entry)
    mech.page_remove_rmap(cpu, page)
    mech.put_page(cpu, page)
    lock.release(cpu)
