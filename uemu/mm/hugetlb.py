"""Pages of hugetlb: one entry each, no reclaim, faults one at a time. Linux: mm/hugetlb.c.

fork, a write fault and get_user_pages have functions of their own for them,
and whether these ask what those for small pages ask is each kernel's
(`uemu.mm.huge_hooks`). Faults are serialised by a mutex; fork and gup are not.

Not modelled: the pool and its reservations, with which the owner of a mapping
takes a page from its child (unmap_ref_private) when the pool is empty; that
the mutex is one of many, by hash, since v3.15; the page lock that hugetlb_cow()
has since v2.6.36; migration of such pages.
"""

from __future__ import annotations

from uemu.errors import Fault
from uemu.mm.compound import (
    clear_huge_page,
    copy_huge_page,
    copy_huge_page_for_fork,
    huge_add_rmap,
    huge_remove_rmap,
    make_pmd,
)
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.pte import Pte
from uemu.mm.vma import Vma
from uemu.step import Cpu, Op, Step


def hugetlb_fault(
    mech: Mechanism,
    cpu: Cpu,
    mm: MmStruct,
    vma: Vma,
    base: int,
    *,
    write: bool,
    unshare: bool = False,
) -> Op[None]:
    """Make the huge page at ``base`` accessible, once; the caller looks again.

    Precondition: mmap_lock is held.

    Raises:
        Fault: ENOMEM.
    """
    mutex, lock = mech.hugetlb_mutex, mm.page_table_lock
    yield mutex.step("hugetlb_fault", "mutex of hugetlb")
    mutex.acquire(cpu)
    try:
        entry = cpu.read(mm.pmd(base))
        if entry is None:
            yield from hugetlb_no_page(mech, cpu, mm, vma, base, write=write)
        elif isinstance(entry, Pte) and ((write and not entry.write) or unshare):
            yield lock.step("hugetlb_fault", "pte_same ?")
            lock.enter(cpu)
            if cpu.read(mm.pmd(base)) == entry:
                yield from hugetlb_cow(mech, cpu, mm, base, entry, unshare=unshare)
    finally:
        mutex.release(cpu)


def hugetlb_no_page(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, *, write: bool
) -> Op[None]:
    """First touch: a zeroed page, for a read too; there is no huge page of zeros here.

    A store gets it writable at once: hugetlb_cow finds nobody else.
    """
    yield mm.page_table_lock.step("hugetlb_no_page", "map a zeroed huge page")
    mm.page_table_lock.enter(cpu)
    if cpu.read(mm.pmd(base)) is not None:
        return
    page = mech.alloc_compound(cpu, base, hugetlb=True)
    clear_huge_page(mech, page)
    huge_add_rmap(mech, cpu, page)
    mech.hooks.new_huge_page(cpu, page)
    mech.set_pmd_at(cpu, mm, base, make_pmd(page, write=write, dirty=write))


def hugetlb_cow(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, base: int, entry: Pte, *, unshare: bool
) -> Op[None]:
    """Reuse the page behind a read-only entry, or copy it.

    What it makes writable is so whatever the VMA allows: set_huge_ptep_writable().

    Precondition: in the step that looked at ``entry`` under the page table lock.
    """
    hooks, lock = mech.hooks, mm.page_table_lock
    old = mech.page_of(entry)
    if hooks.hugetlb_may_reuse(cpu, old):
        hooks.hugetlb_reused(cpu, old)
        if not unshare:
            mech.set_pmd_at(cpu, mm, base, entry.mkwrite()._replace(dirty=True))
        return
    mech.get_page(cpu, old)
    yield Step("copy_huge_page", "copy the frames")
    try:
        new = mech.alloc_compound(cpu, base, hugetlb=True)
    except Fault:
        mech.put_page(cpu, old)
        raise
    copy_huge_page(mech, cpu, mm, base, new, old, "copy_huge_page")
    yield lock.step(hooks.hugetlb_cow_fn, "pte_same ?")
    lock.enter(cpu)
    if cpu.read(mm.pmd(base)) != entry:
        mech.put_page(cpu, new)
        mech.put_page(cpu, old)
        return
    if mech.mmu.cpus_of(mm.id):
        # huge_ptep_clear_flush()
        lock.acquire(cpu)
        mech.pmdp_get_and_clear(cpu, mm, base)
        yield from mech.flush_tlb_range(cpu, mm, base, base + mm.hpage_size)
    huge_add_rmap(mech, cpu, new)
    hooks.new_huge_page(cpu, new)
    write = not unshare
    mech.set_pmd_at(cpu, mm, base, make_pmd(new, write=write, dirty=write or entry.dirty))
    huge_remove_rmap(mech, cpu, old)
    mech.put_page(cpu, old, 2)
    lock.release(cpu)


def copy_hugetlb_page_range(
    mech: Mechanism, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma
) -> Op[None]:
    """fork: give the child its entries of one VMA, each as the policy decides."""
    yield from mech.hooks.copy_hugetlb_begin(cpu, src)
    try:
        for base in (yield from mech.huge_entries_in(cpu, src, vma.vm_start, vma.vm_end)):
            yield from mech.hooks.copy_huge_pte(cpu, src, dst, vma, base)
    except Fault:
        yield from mech.hooks.copy_hugetlb_end(cpu, src)
        raise
    yield from mech.hooks.copy_hugetlb_end(cpu, src)


def copy_huge_pte_unlocked(
    mech: Mechanism, cpu: Cpu, src: MmStruct, dst: MmStruct, base: int, pmd: Pte
) -> Op[bool]:
    """Give the child a copy of its own, without locks meanwhile; False: the entry moved.

    Precondition: in the step that looked at ``pmd``; the caller keeps no lock. The
    copy is mapped in the step in which this returns, which has the lock.
    The parent's entry is not touched. Linux: copy_hugetlb_page_range, hugetlb_install_page.

    Raises:
        Fault: ENOMEM.
    """
    lock, page = src.page_table_lock, mech.page_of(pmd)
    new = mech.alloc_compound(cpu, base, hugetlb=True)
    mech.get_page(cpu, page)
    fn = "copy_hugetlb_page_range"
    yield from copy_huge_page_for_fork(mech, cpu, dst, base, new, page, fn)
    yield lock.step(fn, "map the copy: pte_same ?")
    lock.enter(cpu)
    mech.put_page(cpu, page)
    if cpu.read(src.pmd(base)) != pmd:
        mech.put_page(cpu, new)
        return False
    huge_add_rmap(mech, cpu, new)
    mech.hooks.new_huge_page(cpu, new)
    mech.set_pmd_at(cpu, dst, base, make_pmd(new, write=True))
    return True
