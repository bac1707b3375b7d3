"""Huge entries and the compound pages behind them: what hugetlb and THP have in common.

An entry maps all pages of a compound page and has one reference of it. The
pages of hugetlb are counted as one: the mapcount is the head's. Those of a THP
are counted one by one, for entries may map them singly, too.

Linux: mm/huge_memory.c, mm/hugetlb.c, mm/rmap.c.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.events import ForkCopyBegan, ForkCopyEnded, Moved, Unmapped
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, page_mapcount
from uemu.mm.pte import Pte
from uemu.step import Cpu, Op, Step


def make_pmd(page: Page, *, write: bool, dirty: bool = True, user: bool = True) -> Pte:
    """A huge entry that maps a compound page. Linux: mk_huge_pmd(), make_huge_pte()."""
    return Pte(page.head.pfn, write, dirty, user, page.nr)


def mapped_pages(mech: Mechanism, page: Page) -> list[Page]:
    """Those of a compound page whose mapcount counts a huge entry."""
    return [page.head] if page.hugetlb else mech.subpages(page)


def huge_add_rmap(mech: Mechanism, cpu: Cpu, page: Page) -> None:
    """Count one more huge entry, which takes a reference over. Atomic: inside a step.

    Linux: page_dup_rmap(compound), hugepage_add_new_anon_rmap().
    """
    for each in mapped_pages(mech, page):
        cpu.count(each.mapcount, 1)
    mech.note_in_hand(cpu, page, -1)


def huge_remove_rmap(mech: Mechanism, cpu: Cpu, page: Page) -> None:
    """Count one huge entry less, whose reference is the caller's now. Atomic: inside a step.

    Linux: page_remove_rmap(compound).
    """
    for each in mapped_pages(mech, page):
        cpu.count(each.mapcount, -1)
    mech.note_in_hand(cpu, page, 1)


def page_trans_huge_mapcount(mech: Mechanism, cpu: Cpu, page: Page) -> int:
    """How many entries map that part of a compound page that most do. Atomic: inside a step.

    One page that two map makes all of them shared. Of a page that is none, its mapcount.
    Linux: page_trans_huge_mapcount(), page_trans_huge_map_swapcount() (up to v5.17).
    """
    if page.nr == 1:
        return page_mapcount(cpu, page)
    return max(page_mapcount(cpu, each) for each in mech.subpages(page))


def share_huge(mech: Mechanism, cpu: Cpu, dst: MmStruct, base: int, pmd: Pte) -> None:
    """Map the compound page of ``pmd`` in ``dst`` too. Atomic: call inside a step."""
    page = mech.page_of(pmd)
    mech.get_page(cpu, page)
    huge_add_rmap(mech, cpu, page)
    mech.set_pmd_at(cpu, dst, base, pmd)


def clear_huge_page(mech: Mechanism, page: Page) -> None:
    """Fill every frame of a compound page with zeros."""
    for each in mech.subpages(page):
        mech.frames.zero(each.pfn)


def copy_huge_page(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, base: int, dst: Page, src: Page, fn: str
) -> None:
    """Copy frames nobody can store to. Linux: copy_user_huge_page(). Atomic: inside a step."""
    pairs = zip(mech.subpages(dst), mech.subpages(src), strict=True)
    for i, (to, of) in enumerate(pairs):
        mech.copy_page(cpu, mm, base + i * PAGE_SIZE, to, of, fn)


def copy_huge_page_for_fork(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, base: int, dst: Page, src: Page, fn: str
) -> Op[None]:
    """Copy frames for a child while the parent's other CPUs may store to them.

    A step for each: a store may land in between. Where CPUs are real it is one.
    """
    yield Step(fn, "copy the frames for the child")
    if not cpu.recording:
        copy_huge_page(mech, cpu, mm, base, dst, src, fn)
        return
    mech.publish(ForkCopyBegan, cpu.name, mm.id, base, src.pfn, dst.pfn, contents(mech, src))
    pairs = zip(mech.subpages(dst), mech.subpages(src), strict=True)
    for i, (to, of) in enumerate(pairs):
        if i:
            yield Step(fn, f"and frame {i} of it")
        mech.copy_page(cpu, mm, base + i * PAGE_SIZE, to, of, fn)
    mech.publish(ForkCopyEnded, cpu.name, mm.id, base, src.pfn, dst.pfn, contents(mech, dst))


def contents(mech: Mechanism, page: Page) -> bytes:
    """The bytes of a compound page."""
    return b"".join(mech.frames.read(each.pfn, 0, PAGE_SIZE) for each in mech.subpages(page))


def zap_huge(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, base: int, gathered: list[Page], fn: str
) -> Op[None]:
    """Clear a huge entry, and gather its page for who flushes and puts it."""
    yield mm.page_table_lock.step(fn, "clear the huge entry")
    mm.page_table_lock.enter(cpu)
    pmd = cpu.read(mm.pmd(base))
    mech.publish(Unmapped, cpu.name, mm.id, base, base + mm.hpage_size)
    mech.pmdp_get_and_clear(cpu, mm, base)
    if isinstance(pmd, Pte):
        page = mech.page_of(pmd)
        huge_remove_rmap(mech, cpu, page)
        gathered.append(page)


def move_huge(mech: Mechanism, cpu: Cpu, mm: MmStruct, base: int, target: int, fn: str) -> Op[None]:
    """Move a huge entry to another place. Linux: move_huge_pmd(), move_huge_pte()."""
    yield mm.page_table_lock.step(fn, "move the huge entry")
    mm.page_table_lock.enter(cpu)
    pmd = cpu.read(mm.pmd(base))
    mech.publish(Moved, cpu.name, mm.id, base, base + mm.hpage_size, target)
    mech.pmdp_get_and_clear(cpu, mm, base)
    mech.set_pmd_at(cpu, mm, target, pmd)
