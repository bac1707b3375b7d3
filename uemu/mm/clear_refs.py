"""Soft-dirty: what was stored to since one last asked. Linux: fs/proc/task_mmu.c:clear_refs_write.

"4" written to /proc/PID/clear_refs write-protects every entry, so that the next
store to each page faults and leaves its mark. A write fault that is no one's
fault but the kernel's: what do_wp_page makes of it is the policy's.
"""

from __future__ import annotations

import errno

from uemu.errors import Fault
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MMAP_END, MmStruct
from uemu.mm.notifier import invalidate_range_end, invalidate_range_start
from uemu.mm.pte import Pte
from uemu.step import Cpu, Op, Step


def clear_refs(mech: Mechanism, cpu: Cpu, mm: MmStruct) -> Op[None]:
    """Write-protect every entry of ``mm`` that the policy does not leave alone.

    Raises:
        Fault: EINVAL, that kernel has no soft-dirty bits (before v3.11).
    """
    hooks, lock = mech.hooks, mm.mmap_lock
    if not hooks.has_soft_dirty:
        raise Fault(errno.EINVAL, 0, f"clear_refs 4 under {hooks.name}")
    yield from lock.write(cpu, "clear_refs_write", f"{hooks.lock_name} for writing")
    if hooks.clear_refs_downgrades:
        lock.up_write(cpu)
        lock.down_read(cpu)
    yield from invalidate_range_start(cpu, mm, 0, MMAP_END)
    yield from hooks.clear_refs_begin(cpu, mm)
    for vma in list(mm.vmas):
        for base in (yield from mech.huge_entries_in(cpu, mm, vma.vm_start, vma.vm_end)):
            # Nobody asks whether a huge page is pinned.
            yield mm.page_table_lock.step("clear_soft_dirty_pmd", "write-protect")
            mm.page_table_lock.enter(cpu)
            pmd = cpu.read(mm.pmd(base))
            if isinstance(pmd, Pte) and not vma.is_hugetlb():
                mech.set_pmd_at(cpu, mm, base, pmd.wrprotect())
        for base in (yield from mech.entries_in(cpu, mm, vma.vm_start, vma.vm_end)):
            yield mm.page_table_lock.step("clear_soft_dirty", "pinned ?")
            mm.page_table_lock.enter(cpu)
            pte = cpu.read(mm.pte(base))
            if not isinstance(pte, Pte) or hooks.clear_refs_skips(cpu, mm, vma, pte):
                continue
            # gup-fast takes no lock and may pin the page now.
            mm.page_table_lock.acquire(cpu)
            yield Step("clear_soft_dirty", "write-protect")
            mech.set_pte_at(cpu, mm, base, pte.wrprotect())
            mm.page_table_lock.release(cpu)
    yield from hooks.clear_refs_end(cpu, mm)
    if mm.vmas:
        start, end = mm.vmas[0].vm_start, mm.vmas[-1].vm_end
        yield from mech.flush_tlb_range(cpu, mm, start, end)
    yield from invalidate_range_end(cpu, mm, 0, MMAP_END)
    if hooks.clear_refs_downgrades:
        lock.up_read(cpu)
    else:
        lock.up_write(cpu)
