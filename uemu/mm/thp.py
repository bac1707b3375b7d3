"""Transparent huge pages: one entry (a pmd) for many pages. Linux: mm/huge_memory.c.

Who first touches a block of an area that may have them gets a huge page, a compound
page that no call has asked for and that a program need not know of. What fork, a
write fault and gup make of its entry is told here, with the policy's answers
(`uemu.mm.huge_hooks`). Where they want single pages the entry is *split*, which leaves
the compound page as it is: the references of all its entries, and of whoever holds any
part of it, are counted in one place still, and its frames are freed together.

Not modelled: the huge page of zeros (as if use_zero_page were 0); khugepaged, which
makes huge pages of small ones; an empty page table, which a kernel keeps where
entries of single pages were: here such a block may be huge again; that the mapcounts
of a huge page were not read at once, while a split of another's entry moved them from
the head to its parts (until c444eb564fb1, v5.8).
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.errors import Fault
from uemu.mm.compound import (
    clear_huge_page,
    copy_huge_page,
    huge_add_rmap,
    huge_remove_rmap,
    make_pmd,
    share_huge,
)
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pagevec import PG_LRU
from uemu.mm.pte import Pte
from uemu.mm.vma import Vm, Vma
from uemu.step import Cpu, Op, Step

# faults --------------------------------------------------------------------------------


def huge_fault(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, *, write: bool, unshare: bool
) -> Op[bool]:
    """A fault at ``base`` where a huge entry may be; False: it is the small pages' affair.

    Linux: mm/memory.c:__handle_mm_fault, wp_huge_pmd, VM_FAULT_FALLBACK.
    """
    haddr = base - base % mm.hpage_size
    cell = mm.pmds.get(haddr)
    if cell is None:
        return False
    pmd = cpu.read(cell)
    if pmd is None:
        whole = vma.vm_start <= haddr and haddr + mm.hpage_size <= vma.vm_end
        if not whole or not is_pmd_none(cpu, mm, haddr):
            return False
        return (yield from do_huge_pmd_anonymous_page(mech, cpu, mm, vma, haddr))
    assert isinstance(pmd, Pte)
    if (write and not pmd.write) or unshare:
        yield from do_huge_pmd_wp_page(mech, cpu, mm, vma, haddr, unshare=unshare)
    return cpu.read(cell) is not None


def is_pmd_none(cpu: Cpu, mm: MmStruct, haddr: int) -> bool:
    """Whether nothing is mapped in a block, huge or not. Linux: pmd_none(). Atomic: in a step."""
    if cpu.read(mm.pmd(haddr)) is not None:
        return False
    end = haddr + mm.hpage_size
    if cpu.recording:
        for base in range(haddr, end, PAGE_SIZE):
            cpu.touch(("pte", mm.id, base), write=False)
    return not mm.bases_in(haddr, end)


def do_huge_pmd_anonymous_page(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, vma: Vma, haddr: int
) -> Op[bool]:
    """First touch of a block: map a zeroed huge page; False: there is no memory for one."""
    yield mm.page_table_lock.step("do_huge_pmd_anonymous_page", "map a zeroed huge page")
    mm.page_table_lock.enter(cpu)
    if not is_pmd_none(cpu, mm, haddr):
        return True
    try:
        page = mech.alloc_compound(cpu, haddr, hugetlb=False)
    except Fault:
        return False
    clear_huge_page(mech, page)
    _map_fresh(mech, cpu, mm, vma, haddr, page)
    return True


def _map_fresh(mech: Mechanism, cpu: Cpu, mm: MmStruct, vma: Vma, haddr: int, page: Page) -> None:
    """Map a huge page that nobody else has. Linux: page_add_new_anon_rmap(), set_pmd_at()."""
    huge_add_rmap(mech, cpu, page)
    if mech.pagevecs is not None:
        # A huge page waits in no pagevec: lru_cache_add() drains at once.
        cpu.rmw(page.flag(PG_LRU), lambda _: True)
    mech.hooks.new_anon_page(cpu, page)
    user = vma.vm_flags & Vm.READ != 0
    mech.set_pmd_at(cpu, mm, haddr, make_pmd(page, write=vma.writable(), user=user))


def do_huge_pmd_wp_page(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, vma: Vma, haddr: int, *, unshare: bool
) -> Op[None]:
    """Reuse a huge page; or copy it, or split its entry for do_wp_page to decide."""
    hooks, lock = mech.hooks, mm.page_table_lock
    yield lock.step("do_huge_pmd_wp_page", hooks.thp_wp_looks)
    lock.enter(cpu)
    pmd = cpu.read(mm.pmd(haddr))
    if not isinstance(pmd, Pte) or pmd.write:
        return
    page = mech.page_of(pmd)
    reuse = yield from hooks.thp_reuse(cpu, mm, haddr, pmd, page)
    if reuse and not unshare:
        mech.set_pmd_at(cpu, mm, haddr, pmd._replace(write=vma.writable(), dirty=True))
    lock.release(cpu)
    if reuse is not False:
        return
    if hooks.thp_cow_copies_all:
        yield from _copy_all(mech, cpu, mm, vma, haddr, pmd, page)
    else:
        yield from split_huge_pmd(mech, cpu, mm, haddr)


def _copy_all(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, vma: Vma, haddr: int, orig: Pte, old: Page
) -> Op[None]:
    """Give ``mm`` a copy of a huge page; where there is no memory for it, split the entry.

    Precondition: called in the step that looked at ``orig`` under the page table lock.

    Linux: mm/huge_memory.c:do_huge_pmd_wp_page (up to v5.7). Its way out in between, as
    many small pages, is for memory in pieces: here so many frames are there or not.
    """
    lock = mm.page_table_lock
    mech.get_page(cpu, old)
    yield Step("copy_user_huge_page", "copy the frames")
    try:
        new = mech.alloc_compound(cpu, haddr, hugetlb=False)
    except Fault:
        mech.put_page(cpu, old)
        yield from split_huge_pmd(mech, cpu, mm, haddr)
        return
    copy_huge_page(mech, cpu, mm, haddr, new, old, "copy_user_huge_page")
    yield lock.step("do_huge_pmd_wp_page", "pmd_same ?")
    lock.enter(cpu)
    if cpu.read(mm.pmd(haddr)) != orig:
        mech.put_page(cpu, new)
        mech.put_page(cpu, old)
        return
    if mech.mmu.cpus_of(mm.id):
        # pmdp_huge_clear_flush()
        lock.acquire(cpu)
        mech.pmdp_get_and_clear(cpu, mm, haddr)
        yield from mech.flush_tlb_range(cpu, mm, haddr, haddr + mm.hpage_size)
    _map_fresh(mech, cpu, mm, vma, haddr, new)
    huge_remove_rmap(mech, cpu, old)
    mech.put_page(cpu, old, 2)
    lock.release(cpu)


# fork ------------------------------------------------------------------------------------


def copy_huge_pmd(mech: Mechanism, cpu: Cpu, src: MmStruct, dst: MmStruct, haddr: int) -> Op[bool]:
    """Share a huge page, and say so; or split its entry, and fork goes on with the small ones.

    Linux: mm/huge_memory.c:copy_huge_pmd; -EAGAIN.
    """
    hooks, lock = mech.hooks, src.page_table_lock
    yield lock.step("copy_huge_pmd", hooks.thp_copy_looks)
    lock.enter(cpu)
    pmd = cpu.read(src.pmd(haddr))
    if not isinstance(pmd, Pte):
        return False
    page = mech.page_of(pmd)
    if hooks.thp_fork_splits(cpu, src, page):
        yield from split_huge_pmd(mech, cpu, src, haddr)
        return False
    yield from hooks.thp_fork_shares(cpu, src, pmd, page)
    pmd = pmd.wrprotect()
    mech.pmdp_set_wrprotect(cpu, src, haddr, pmd)
    share_huge(mech, cpu, dst, haddr, pmd)
    lock.release(cpu)
    return True


# one entry becomes many --------------------------------------------------------------------


def split_huge_pmd(mech: Mechanism, cpu: Cpu, mm: MmStruct, haddr: int) -> Op[None]:
    """Map the pages of a huge entry one by one, as they were mapped; nothing is copied.

    The entry is invalid, and flushed, before the others are there: whoever comes
    meanwhile, gup-fast too, ends up waiting for the page table lock. Each of the others
    has a reference. Linux: mm/huge_memory.c:__split_huge_pmd.
    """
    lock = mm.page_table_lock
    yield lock.step("__split_huge_pmd", "an entry for each page")
    lock.enter(cpu)
    pmd = cpu.read(mm.pmd(haddr))
    if not isinstance(pmd, Pte):
        return
    lock.acquire(cpu)
    mech.pmdp_invalidate(cpu, mm, haddr)
    yield from mech.flush_tlb_range(cpu, mm, haddr, haddr + mm.hpage_size)
    page = mech.page_of(pmd)
    mech.get_page(cpu, page, pmd.nr - 1)
    mech.note_in_hand(cpu, page, 1 - pmd.nr)
    mech.hooks.thp_was_split(cpu, mech.subpages(page))
    mech.pmd_populate(cpu, mm, haddr, pmd)
    lock.release(cpu)


def split_huge_pmds_at(mech: Mechanism, cpu: Cpu, mm: MmStruct, *addrs: int) -> Op[None]:
    """Split the huge entries that boundaries at ``addrs`` would cut.

    Precondition: inside a step, mmap_lock is held. Linux: vma_adjust_trans_huge(),
    and the loops of those who zap a part of one.
    """
    for addr in addrs:
        cell = mm.pmd_over(addr)
        if addr % mm.hpage_size and cell is not None and cpu.read(cell) is not None:
            yield from split_huge_pmd(mech, cpu, mm, addr - addr % mm.hpage_size)
