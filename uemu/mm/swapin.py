"""A fault on a swap entry. Linux: mm/memory.c:do_swap_page."""

from __future__ import annotations

from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, trylock_page, unlock_page
from uemu.mm.pagevec import lru_cache_add
from uemu.mm.pte import SwapEntry
from uemu.mm.swap import SwapSlot, add_to_swap_cache, read_from_slot
from uemu.mm.vma import Vma
from uemu.step import Cpu, Op, Step


def do_swap_page(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, entry: SwapEntry, *, write: bool
) -> Op[None]:
    """Map the page that a swap entry names: the cached one, or what the slot has.

    How it is mapped is the policy's: a read that comes first leaves the entry
    read-only, and the store after it asks do_wp_page.
    """
    lock = mm.page_table_lock
    yield Step("do_swap_page", "lookup_swap_cache")
    if cpu.read(mm.pte(base)) != entry:
        return
    slot = mech.swap.of(entry)
    page = cpu.read(slot.cached)
    if page is None:
        page = yield from read_swap_cache(mech, cpu, base, slot)
    else:
        mech.get_page(cpu, page)
    yield Step("do_swap_page", "lock_page", lambda: not page.locked.peek(), True)
    trylock_page(cpu, page)
    yield lock.step("do_swap_page", "pte_same ?")
    lock.enter(cpu)
    if cpu.read(mm.pte(base)) != entry or cpu.read(page.swap) is not slot:
        unlock_page(cpu, page)
        mech.put_page(cpu, page)
        return
    pte = mech.hooks.swap_in_pte(cpu, vma, page, entry, write=write)
    mech.page_dup_rmap(cpu, page)
    mech.set_pte_at(cpu, mm, base, pte)
    unlock_page(cpu, page)
    if write and not pte.write and vma.writable():
        yield from mech.hooks.do_wp_page(cpu, mm, vma, base)


def read_swap_cache(mech: Mechanism, cpu: Cpu, base: int, slot: SwapSlot) -> Op[Page]:
    """Read a slot into a page of its own, held, locked meanwhile. Linux: swapin_readahead."""
    page = mech.alloc_page(cpu, base)
    trylock_page(cpu, page)
    add_to_swap_cache(mech, cpu, page, slot)
    lru_cache_add(mech, cpu, page)
    yield Step("swap_readpage", f"swap {slot.number} -> pfn {page.pfn}")
    read_from_slot(mech, cpu, page, slot)
    unlock_page(cpu, page)
    return page
