"""get_user_pages and pin_user_pages, slow and fast. Linux: mm/gup.c (x86: arch/x86/mm/gup.c).

gup-fast takes no lock: with interrupts off it reads the entry, takes the
reference, and whatever check follows is the policy's. A TLB flush by IPI
waits for it, which is what its safety against munmap rests on.
"""

from __future__ import annotations

import errno

from uemu.abi import Foll, page_range
from uemu.errors import Fault, InvariantError, ProcessDied
from uemu.mm.fault import handle_mm_fault
from uemu.mm.grab import gup_release
from uemu.mm.hooks import GupCall, NeedFault
from uemu.mm.hugetlb import hugetlb_fault
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pte import AnyPte, Pte
from uemu.mm.vma import Vm, Vma
from uemu.step import Cell, Cpu, Op, Step

RETRIES = 1000
"""How often one page may be looked up in vain before gup is said to livelock."""

_IRQS_OFF = Step("get_user_pages_fast", "interrupts off")


def release_user_page(mech: Mechanism, cpu: Cpu, page: Page, foll: Foll) -> None:
    """Give back a page that was kept. Linux: unpin_user_page(), put_page()."""
    if Foll.PIN in foll:
        mech.hooks.check_pinned(cpu, page)
    gup_release(mech, cpu, page, foll)


def hold_user_pages(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, addr: int, length: int, call: GupCall
) -> Op[list[Page]]:
    """Hold the pages under ``[addr, addr + length)`` the way an API does.

    Fast as far as it goes, the rest slow; on an error nothing stays held.

    Raises:
        Fault: EFAULT, not mapped or not allowed.

    Linux: mm/gup.c:internal_get_user_pages_fast, get_user_pages_unlocked.
    """
    bases = list(page_range(addr, length))
    pages: list[Page] = []
    yield from mech.hooks.gup_begin(cpu, mm)
    try:
        if call.fast:
            pages = yield from lockless_pages_from_mm(mech, cpu, mm, bases, call.foll)
        if len(pages) < len(bases):
            yield from _get_user_pages(mech, cpu, mm, bases, call, pages)
    except (Fault, InvariantError, ProcessDied):
        for page in pages:
            gup_release(mech, cpu, page, call.foll)
        raise
    finally:
        mech.hooks.gup_end(cpu, mm)
    return pages


def _get_user_pages(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, bases: list[int], call: GupCall, pages: list[Page]
) -> Op[None]:
    """The slow path: append to ``pages`` until there is one for each of ``bases``."""
    lock = mm.mmap_lock
    if not call.locked:
        yield lock.read_step("get_user_pages", f"{mech.hooks.lock_name} for reading")
        lock.down_read(cpu)
    mech.hooks.gup_mark_mm(cpu, mm, call.foll)
    try:
        while len(pages) < len(bases):
            pages += yield from _get_user_page(mech, cpu, mm, bases[len(pages) :], call.foll)
    finally:
        if not call.locked:
            lock.up_read(cpu)


def _get_user_page(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, bases: list[int], foll: Foll
) -> Op[list[Page]]:
    """One turn of __get_user_pages: follow_page, faultin_page, again.

    The first page of ``bases``, or as many as lie in one page of hugetlb.
    """
    base = bases[0]
    while True:
        vma = mm.find_vma(base)
        if vma is None or not _gup_allowed(mech, vma, foll):
            raise Fault(errno.EFAULT, base, "get_user_pages")
        if not (yield from mech.hooks.gup_look_at_vma(cpu, mm, vma)):
            break
    if vma.is_hugetlb():
        return (yield from follow_hugetlb_page(mech, cpu, mm, vma, bases, foll))
    if mech.hooks.should_force_cow_break(vma, foll):
        foll |= Foll.WRITE
    for _ in range(RETRIES):
        found = yield from _follow_page(mech, cpu, mm, vma, base, foll)
        if isinstance(found, Page):
            return [found]
        write = found is NeedFault.WRITE
        yield from handle_mm_fault(
            mech, cpu, mm, vma, base, write=write, unshare=found is NeedFault.UNSHARE
        )
        if write and not vma.writable():
            # COW is broken, and the entry stays read-only. Linux: VM_FAULT_WRITE
            # in faultin_page.
            foll = mech.hooks.foll_cow_broken(foll)
    raise InvariantError("livelock", f"get_user_pages retried {RETRIES} times at {base:#x}")


def _follow_page(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
) -> Op[Page | NeedFault]:
    """Hold what is mapped at ``base``, or say what keeps from it. Linux: follow_pmd_mask."""
    cell = mm.pmd_over(base)
    if cell is not None and cpu.read(cell) is not None:
        found = yield from mech.hooks.follow_trans_huge_pmd(cpu, mm, vma, base, foll)
        if found is not None:
            return found
    return (yield from mech.hooks.follow_page_pte(cpu, mm, vma, base, foll))


def follow_hugetlb_page(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, vma: Vma, bases: list[int], foll: Foll
) -> Op[list[Page]]:
    """Hold those of ``bases`` that lie in the huge page of the first.

    Linux: mm/hugetlb.c:follow_hugetlb_page.
    """
    hooks, lock = mech.hooks, mm.page_table_lock
    huge = bases[0] - bases[0] % mm.hpage_size
    nr = sum(base < huge + mm.hpage_size for base in bases)
    foll = hooks.hugetlb_foll(vma, foll)
    write = Foll.WRITE in foll
    for _ in range(RETRIES):
        yield lock.step("follow_hugetlb_page", f"hold {nr} of its pages")
        lock.enter(cpu)
        pmd = cpu.read(mm.pmd(huge))
        unshare = False
        if isinstance(pmd, Pte):
            page = mech.page_of(pmd)
            unshare = not pmd.write and hooks.hugetlb_must_unshare(cpu, page, foll)
            if not unshare and (pmd.write or not write):
                pages = hooks.pages_of_pmd(mm, bases[0], pmd, nr)
                hooks.hugetlb_held(cpu, page)
                hooks.grab_huge(cpu, pages, foll)
                return pages
        elif not write and hooks.hugetlb_reads_zero_page:
            pages = [mech.zero_page()] * nr
            hooks.grab_huge(cpu, pages, foll)
            return pages
        yield from hugetlb_fault(mech, cpu, mm, vma, huge, write=write, unshare=unshare)
    raise InvariantError("livelock", f"follow_hugetlb_page retried {RETRIES} times at {huge:#x}")


def _gup_allowed(mech: Mechanism, vma: Vma, foll: Foll) -> bool:
    """Linux: mm/gup.c:check_vma_flags."""
    force = Foll.FORCE in foll and vma.is_cow_mapping()
    if vma.is_hugetlb() and Foll.WRITE in foll and not mech.hooks.hugetlb_forced_writes:
        force = False
    wanted = Vm.WRITE if Foll.WRITE in foll else Vm.READ
    return vma.vm_flags & wanted != 0 or force


def lockless_pages_from_mm(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, bases: list[int], foll: Foll
) -> Op[list[Page]]:
    """Hold as many pages as can be had without a lock, from the first on.

    Linux: mm/gup.c:lockless_pages_from_mm (v5.11), the fast half of
    arch/x86/mm/gup.c:get_user_pages_fast (v2.6.27).
    """
    hooks = mech.hooks
    token = yield from hooks.gup_fast_begin(cpu, mm, foll)
    if token is None:
        return []
    yield _IRQS_OFF
    cpu.put(cpu.irqs_off, True)
    pages: list[Page] = []
    while (at := len(pages)) < len(bases):
        cell = mm.pmd_over(bases[at])
        if cell is not None:
            if not (yield from _gup_fast_huge(mech, cpu, mm, bases[at:], cell, foll, pages)):
                break
            continue
        page = yield from hooks.gup_fast_pte(cpu, mm, bases[at], foll)
        if page is None:
            break
        pages.append(page)
    cpu.put(cpu.irqs_off, False)
    if not (yield from hooks.gup_fast_end(cpu, mm, foll, token)):
        for page in pages:
            gup_release(mech, cpu, page, foll)
        return []
    pages = yield from hooks.gup_fast_keep(cpu, pages, foll)
    if Foll.PIN in foll:
        for page in pages:
            hooks.check_pinned(cpu, page)
    return pages


def _gup_fast_huge(
    mech: Mechanism,
    cpu: Cpu,
    mm: MmStruct,
    bases: list[int],
    cell: Cell[AnyPte],
    foll: Foll,
    pages: list[Page],
) -> Op[bool]:
    """Append as many of ``bases`` as a huge entry maps, or the first; whether all could be had.

    Linux: mm/gup.c:gup_pmd_range.
    """
    yield Step("gup_pmd_range", "huge ?")
    pmd = cpu.read(cell)
    if isinstance(pmd, Pte):
        end = bases[0] - bases[0] % mm.hpage_size + mm.hpage_size
        nr = sum(base < end for base in bases)
        found = yield from mech.hooks.gup_huge_pmd(cpu, mm, bases[0], pmd, nr, foll)
        pages += found or ()
        return found is not None and len(found) == nr
    page = yield from mech.hooks.gup_fast_pte(cpu, mm, bases[0], foll)
    if page is not None:
        pages.append(page)
    return page is not None
