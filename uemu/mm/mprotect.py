"""mprotect(2). Linux: mm/mprotect.c:mprotect_fixup, change_pte_range."""

from __future__ import annotations

import errno

from uemu.errors import Fault
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.notifier import invalidate_range_end, invalidate_range_start
from uemu.mm.pte import Pte
from uemu.mm.thp import split_huge_pmds_at
from uemu.mm.vma import Vm, Vma, vm_flags_of
from uemu.step import Cpu, Op


def mprotect(mech: Mechanism, cpu: Cpu, mm: MmStruct, start: int, end: int, prot: int) -> Op[None]:
    """Set the protection of ``[start, end)`` to ``prot`` (PROT_*).

    Raises:
        Fault: ENOMEM, part of the range is not mapped; EINVAL, it begins or ends within
            a page of hugetlb.
    """
    lock = mm.mmap_lock
    yield from lock.write(cpu, mech.hooks.mprotect_fn, f"{mech.hooks.lock_name} for writing")
    if not mm.covers(start, end):
        lock.up_write(cpu)
        raise Fault(errno.ENOMEM, start, "mprotect of what is not mapped")
    if mm.cuts_hugetlb(start, end):
        lock.up_write(cpu)
        raise Fault(errno.EINVAL, start, "mprotect of part of a huge page of hugetlb")
    yield from split_huge_pmds_at(mech, cpu, mm, start, end)
    yield from invalidate_range_start(cpu, mm, start, end)
    for vma in mm.vmas_in(start, end):
        new_flags = (vma.vm_flags & ~(Vm.READ | Vm.WRITE)) | vm_flags_of(prot)
        if new_flags == vma.vm_flags:
            continue
        vma.vm_flags = new_flags
        for base in (yield from mech.huge_entries_in(cpu, mm, vma.vm_start, vma.vm_end)):
            yield mm.page_table_lock.step("change_huge_pmd", "new protection")
            mm.page_table_lock.enter(cpu)
            pmd = cpu.read(mm.pmd(base))
            if isinstance(pmd, Pte):
                mech.set_pmd_at(cpu, mm, base, mech.hooks.pte_modify(cpu, vma, pmd))
        for base in (yield from mech.entries_in(cpu, mm, vma.vm_start, vma.vm_end)):
            yield mm.page_table_lock.step("change_pte_range", "new protection")
            mm.page_table_lock.enter(cpu)
            pte = cpu.read(mm.pte(base))
            if isinstance(pte, Pte):
                mech.set_pte_at(cpu, mm, base, _pte_modify(mech, cpu, vma, pte))
    yield from mech.flush_tlb_range(cpu, mm, start, end)
    yield from invalidate_range_end(cpu, mm, start, end)
    lock.up_write(cpu)


def _pte_modify(mech: Mechanism, cpu: Cpu, vma: Vma, pte: Pte) -> Pte:
    """Only of a shared mapping vm_page_prot has the write bit."""
    if vma.vm_file is not None:
        return pte._replace(write=vma.writable(), user=vma.vm_flags & Vm.READ != 0)
    return mech.hooks.pte_modify(cpu, vma, pte)
