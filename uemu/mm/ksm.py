"""KSM: two pages of the same bytes become one. Linux: mm/ksm.c:try_to_merge_two_pages.

The first page is write-protected and becomes the KSM page; the second is
write-protected, compared, and its entry set to the first. What somebody holds
is not merged: the entry is cleared and flushed first, so that no gup-fast can
come behind, and the references are counted second.

Not modelled: the trees, checksums and the scan (who calls chooses the pages).
"""

from __future__ import annotations

from typing import TypeVar

from uemu.abi import PAGE_SIZE
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.notifier import invalidate_range_end, invalidate_range_start
from uemu.mm.page import Page, trylock_page, unlock_page
from uemu.mm.pte import Pte
from uemu.mm.split import split_huge_page
from uemu.step import Cpu, Op, Step

T = TypeVar("T")

MERGED = "merged"
"""What `merge_pages` says of pages that are one now; anything else is why not."""

Place = tuple[MmStruct, int]
"""An address space and a page-aligned address in it."""


def merge_pages(mech: Mechanism, cpu: Cpu, first: Place, second: Place) -> Op[str]:
    """Make one page of two with the same bytes; `MERGED`, or why they stay two."""
    yield Step("ksm_do_scan", "hold the first page")
    kpage = _hold(mech, cpu, first)
    if kpage is None:
        return "the first is not there"
    kept = yield from _try_to_merge(mech, cpu, first, kpage, second)
    mech.put_page(cpu, kpage)
    return kept or MERGED


def _hold(mech: Mechanism, cpu: Cpu, place: Place) -> Page | None:
    """Take a reference of the anonymous page at a place. Linux: get_mergeable_page()."""
    mm, base = place
    pte = mm.walk(cpu, base)
    if not isinstance(pte, Pte) or not mech.page_of(pte).anon:
        return None
    page = mech.page_of(pte)
    if page.hugetlb:
        return None
    mech.get_page(cpu, page)
    return page


def _try_to_merge(
    mech: Mechanism, cpu: Cpu, first: Place, kpage: Page, second: Place
) -> Op[str | None]:
    if not cpu.read(kpage.ksm):
        kept = yield from try_to_merge_one_page(mech, cpu, first, kpage, None)
        if kept:
            return f"the first stays: {kept}"
    yield Step("ksm_do_scan", "hold the second page")
    page = _hold(mech, cpu, second)
    if page is None:
        return "the second is not there"
    kept = yield from try_to_merge_one_page(mech, cpu, second, page, kpage)
    mech.put_page(cpu, page)
    return f"the second stays: {kept}" if kept else None


def try_to_merge_one_page(
    mech: Mechanism, cpu: Cpu, place: Place, page: Page, kpage: Page | None
) -> Op[str | None]:
    """Make ``page`` a KSM page (``kpage`` None), or map ``kpage`` in its place; None: done."""
    if page is kpage:
        return None
    yield Step("try_to_merge_one_page", f"trylock pfn {page.pfn}", locked=True)
    if not trylock_page(cpu, page):
        return "it is locked"
    if page.nr > 1 and (kept := (yield from split_huge_page(mech, cpu, page))):
        unlock_page(cpu, page)
        return kept
    orig = yield from _telling(cpu, place, write_protect_page(mech, cpu, place, page))
    kept = None
    if orig is None:
        kept = "others refer to it"
    elif kpage is None:
        cpu.write(page.ksm, True)
    else:
        yield Step("pages_identical", f"pfn {page.pfn} and pfn {kpage.pfn}")
        if _contents(mech, cpu, page) != _contents(mech, cpu, kpage):
            kept = "they differ"
        elif not (
            yield from _telling(cpu, place, replace_page(mech, cpu, place, page, kpage, orig))
        ):
            kept = "its entry moved"
    unlock_page(cpu, page)
    return kept


def _telling(cpu: Cpu, place: Place, op: Op[T]) -> Op[T]:
    """Change an entry, as secondary MMUs are told: they drop what they hold."""
    mm, base = place
    yield from invalidate_range_start(cpu, mm, base, base + PAGE_SIZE)
    result = yield from op
    yield from invalidate_range_end(cpu, mm, base, base + PAGE_SIZE)
    return result


def _contents(mech: Mechanism, cpu: Cpu, page: Page) -> bytes:
    mech.touch_frame(cpu, page.pfn, 0, PAGE_SIZE, write=False)
    return mech.frames.read(page.pfn, 0, PAGE_SIZE)


def write_protect_page(mech: Mechanism, cpu: Cpu, place: Place, page: Page) -> Op[Pte | None]:
    """Write-protect an entry if nobody but PTEs refers to the page; the entry, or None."""
    mm, base = place
    lock = mm.page_table_lock
    yield lock.step("write_protect_page", f"page_check_address in {mm.name}")
    lock.enter(cpu)
    pte = cpu.read(mm.pte(base))
    if not isinstance(pte, Pte) or pte.pfn != page.pfn:
        return None
    if not pte.write and not pte.dirty:
        return pte
    # "O_DIRECT can happen right after the check": so the check comes when no
    # gup-fast finds the entry any more, nor is in the middle of it.
    lock.acquire(cpu)
    mech.ptep_get_and_clear(cpu, mm, base)
    yield from mech.flush_tlb_range(cpu, mm, base, base + PAGE_SIZE)
    yield Step("write_protect_page", "count == mapcount + 1 ?")
    held = yield from mech.hooks.ksm_finds_held(cpu, page)
    now = pte if held else Pte(pte.pfn, write=False, user=pte.user)
    mech.set_pte_at(cpu, mm, base, now)
    lock.release(cpu)
    return None if held else now


def replace_page(
    mech: Mechanism, cpu: Cpu, place: Place, page: Page, kpage: Page, orig: Pte
) -> Op[bool]:
    """Map ``kpage`` read-only in place of ``page``; False: the entry is another by now."""
    mm, base = place
    lock = mm.page_table_lock
    yield lock.step("replace_page", "pte_same ?")
    lock.enter(cpu)
    if cpu.read(mm.pte(base)) != orig:
        return False
    lock.acquire(cpu)
    mech.ptep_get_and_clear(cpu, mm, base)
    yield from mech.flush_tlb_range(cpu, mm, base, base + PAGE_SIZE)
    mech.get_page(cpu, kpage)
    mech.page_dup_rmap(cpu, kpage)
    mech.set_pte_at(cpu, mm, base, orig._replace(pfn=kpage.pfn))
    mech.page_remove_rmap(cpu, page)
    mech.put_page(cpu, page)
    lock.release(cpu)
    return True
