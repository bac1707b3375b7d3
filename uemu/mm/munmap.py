"""Taking mappings away: munmap(2), MADV_DONTNEED, exit.

Linux: mm/memory.c:zap_pte_range, mm/mmap.c:do_munmap, exit_mmap.
"""

from __future__ import annotations

import errno

from uemu.abi import PAGE_SIZE
from uemu.errors import Fault
from uemu.events import Unmapped
from uemu.mm.compound import zap_huge
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.notifier import (
    invalidate_range_end,
    invalidate_range_start,
    mmu_notifier_release,
)
from uemu.mm.page import Page
from uemu.mm.pagevec import lru_add_drain
from uemu.mm.pte import Pte, SwapEntry
from uemu.mm.shmem import remove_vma
from uemu.mm.swap import free_swap_and_cache, free_swap_cache
from uemu.mm.thp import split_huge_pmds_at
from uemu.step import Cpu, Op, Step


def zap_page_range(mech: Mechanism, cpu: Cpu, mm: MmStruct, start: int, end: int) -> Op[None]:
    """Drop every entry in ``[start, end)``: clear, flush, and only then free.

    Who calls it drains this CPU's pagevec first (unmap_region, zap_page_range).

    Precondition: mmap_lock is held, inside a step. Linux: mmu_gather orders
    the three. Not modelled: an entry that a fault adds behind the listing,
    where mmap_lock is held for reading only.
    """
    lru_add_drain(mech, cpu)
    gathered: list[Page] = []
    yield from invalidate_range_start(cpu, mm, start, end)
    for base in (yield from mech.huge_entries_in(cpu, mm, start, end)):
        yield from zap_huge(mech, cpu, mm, base, gathered, "zap_huge_pmd")
    for base in (yield from mech.entries_in(cpu, mm, start, end)):
        yield mm.page_table_lock.step("zap_pte_range", "clear the entry")
        mm.page_table_lock.enter(cpu)
        pte = cpu.read(mm.pte(base))
        mech.publish(Unmapped, cpu.name, mm.id, base, base + PAGE_SIZE)
        mech.ptep_get_and_clear(cpu, mm, base)
        if isinstance(pte, Pte) and not (page := mech.page_of(pte)).reserved:
            mech.page_remove_rmap(cpu, page)
            gathered.append(page)
        elif isinstance(pte, SwapEntry):
            free_swap_and_cache(mech, cpu, pte)
    yield from invalidate_range_end(cpu, mm, start, end)
    yield from mech.flush_tlb_range(cpu, mm, start, end)
    for page in gathered:
        free_swap_cache(mech, cpu, page)
        mech.put_page(cpu, page)


def munmap(mech: Mechanism, cpu: Cpu, mm: MmStruct, start: int, end: int) -> Op[None]:
    """Unmap ``[start, end)``; holes in it are no error, as in munmap(2).

    Raises:
        Fault: EINVAL, it begins or ends within a page of hugetlb.
    """
    lock = mm.mmap_lock
    yield from lock.write(cpu, "do_munmap", f"{mech.hooks.lock_name} for writing")
    if mm.cuts_hugetlb(start, end):
        lock.up_write(cpu)
        raise Fault(errno.EINVAL, start, "munmap of part of a huge page of hugetlb")
    yield from split_huge_pmds_at(mech, cpu, mm, start, end)
    for vma in mm.vmas_in(start, end):
        yield from zap_page_range(mech, cpu, mm, vma.vm_start, vma.vm_end)
        remove_vma(mech, cpu, mm, vma)
    lock.up_write(cpu)


def madvise_dontneed(mech: Mechanism, cpu: Cpu, mm: MmStruct, start: int, end: int) -> Op[None]:
    """Drop the contents of ``[start, end)``, keep the mapping.

    Raises:
        Fault: ENOMEM, part of the range is not mapped; EINVAL, of hugetlb that kernel
            drops nothing, or not part of a page.
    """
    lock = mm.mmap_lock
    yield lock.read_step("madvise_dontneed", f"{mech.hooks.lock_name} for reading")
    lock.down_read(cpu)
    if not mm.covers(start, end):
        lock.up_read(cpu)
        raise Fault(errno.ENOMEM, start, "madvise of what is not mapped")
    hugetlb = any(vma.is_hugetlb() for vma in mm.vmas if start < vma.vm_end and vma.vm_start < end)
    if hugetlb and (mm.cuts_hugetlb(start, end) or not mech.hooks.hugetlb_dontneed):
        lock.up_read(cpu)
        raise Fault(errno.EINVAL, start, "MADV_DONTNEED of hugetlb")
    yield from split_huge_pmds_at(mech, cpu, mm, start, end)
    yield from zap_page_range(mech, cpu, mm, start, end)
    lock.up_read(cpu)


def exit_mmap(mech: Mechanism, cpu: Cpu, mm: MmStruct) -> Op[None]:
    """Tear an address space down; nobody runs in it any more.

    References that devices hold keep their frames.
    """
    yield Step("exit_mmap", "nobody runs in it any more")
    yield from mmu_notifier_release(cpu, mm)
    for vma in list(mm.vmas):
        yield from zap_page_range(mech, cpu, mm, vma.vm_start, vma.vm_end)
        remove_vma(mech, cpu, mm, vma)
    mech.mm_free(mm)
