"""mremap(2), moving what is mapped. Linux: mm/mremap.c:move_vma, move_page_tables."""

from __future__ import annotations

import errno

from uemu.abi import PAGE_SIZE
from uemu.errors import Fault
from uemu.events import Moved
from uemu.mm.compound import move_huge
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MMAP_END, MmStruct
from uemu.mm.notifier import invalidate_range_end, invalidate_range_start
from uemu.mm.thp import split_huge_pmd, split_huge_pmds_at
from uemu.step import Cpu, Op


def mremap(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, start: int, old_end: int, new_length: int
) -> Op[int]:
    """Move ``[start, old_end)`` to a new place of ``new_length`` bytes; return its address.

    Frames move with their entries: a device that holds one still holds it,
    and the program finds it at the new address. Growing in place is not
    tried, as MREMAP_MAYMOVE allows. Not modelled: that each entry is flushed
    before it is set anew; here all are, at the end.

    Raises:
        Fault: EFAULT, the range is not inside one VMA; EINVAL, of hugetlb that kernel
            moves nothing, or not part of a page.
    """
    lock = mm.mmap_lock
    yield from lock.write(cpu, "mremap", f"{mech.hooks.lock_name} for writing")
    vma = mm.find_vma(start)
    if vma is None or vma.vm_end < old_end:
        lock.up_write(cpu)
        raise Fault(errno.EFAULT, start, "mremap of what is not one mapping")
    if vma.is_hugetlb() and (
        not mech.hooks.hugetlb_moves
        or mm.cuts_hugetlb(start, old_end)
        or new_length % mm.hpage_size
    ):
        lock.up_write(cpu)
        raise Fault(errno.EINVAL, start, "mremap of hugetlb")
    target = mm.next_addr
    if vma.may_be_huge():
        target = mm.next_huge_addr()
    if target + new_length > MMAP_END:
        lock.up_write(cpu)
        raise Fault(errno.ENOMEM, start, f"mremap to {new_length} bytes")
    yield from split_huge_pmds_at(mech, cpu, mm, start, old_end)
    (old,) = mm.vmas_in(start, old_end)
    mm.next_addr = target + new_length + PAGE_SIZE
    new = old.copy()
    new.vm_start, new.vm_end = target, target + new_length
    mm.insert_vma(new)
    yield from invalidate_range_start(cpu, mm, start, old_end)
    for base in (yield from mech.huge_entries_in(cpu, mm, start, old_end)):
        to = base - start + target
        if to % mm.hpage_size:
            yield from split_huge_pmd(mech, cpu, mm, base)
        else:
            yield from move_huge(mech, cpu, mm, base, to, "move_huge_pmd")
    for base in (yield from mech.entries_in(cpu, mm, start, old_end)):
        yield mm.page_table_lock.step("move_ptes", "move the entry")
        mm.page_table_lock.enter(cpu)
        pte = cpu.read(mm.pte(base))
        mech.publish(Moved, cpu.name, mm.id, base, base + PAGE_SIZE, base - start + target)
        mech.ptep_get_and_clear(cpu, mm, base)
        mech.set_pte_at(cpu, mm, base - start + target, pte)
    yield from mech.flush_tlb_range(cpu, mm, start, old_end)
    yield from invalidate_range_end(cpu, mm, start, old_end)
    mm.remove_vma(old)
    lock.up_write(cpu)
    return target
