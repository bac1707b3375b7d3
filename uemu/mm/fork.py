"""fork(2) for an address space. Linux: kernel/fork.c:dup_mmap, mm/memory.c:copy_page_range."""

from __future__ import annotations

from uemu.errors import Fault, ProcessDied
from uemu.events import Forked
from uemu.mm.hugetlb import copy_hugetlb_page_range
from uemu.mm.locks import SpinLock
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.munmap import exit_mmap
from uemu.mm.notifier import invalidate_range_end, invalidate_range_start
from uemu.mm.page import Page
from uemu.mm.pte import MigrationEntry, Pte, SwapEntry
from uemu.mm.shmem import map_object
from uemu.mm.swap import swap_duplicate
from uemu.mm.thp import copy_huge_pmd
from uemu.mm.vma import Vm, Vma
from uemu.step import Cpu, Op


def dup_mmap(mech: Mechanism, cpu: Cpu, src: MmStruct, name: str) -> Op[MmStruct]:
    """Return a child of ``src``: its VMAs, and each entry as the policy decides.

    The parent's TLBs are flushed once, at the end, before mmap_lock is
    released; also where memory runs out in the middle, after which nothing is
    left of the child.

    Raises:
        Fault: ENOMEM, no frame for a page that fork copies.
    """
    lock = src.mmap_lock
    yield from mech.hooks.fork_begin(cpu, src)
    try:
        yield from lock.write(cpu, "dup_mmap", f"{mech.hooks.lock_name} for writing")
    except ProcessDied:
        mech.hooks.fork_end(cpu, src)
        raise
    dst = mech.mm_alloc(name, src)
    failed: Fault | None = None
    try:
        yield from _copy_vmas(mech, cpu, src, dst)
    except Fault as fault:
        failed = fault
    if src.vmas:
        start, end = src.vmas[0].vm_start, src.vmas[-1].vm_end
        yield from mech.flush_tlb_range(cpu, src, start, end)
    lock.up_write(cpu)
    mech.hooks.fork_end(cpu, src)
    if failed is not None:
        # Linux: kernel/fork.c:dup_mm, fail_nomem: mmput().
        yield from exit_mmap(mech, cpu, dst)
        raise failed
    mech.publish(Forked, cpu.name, src.id, dst.id)
    return dst


def _copy_vmas(mech: Mechanism, cpu: Cpu, src: MmStruct, dst: MmStruct) -> Op[None]:
    """The loop of dup_mmap; it ends where memory runs out."""
    for vma in src.vmas:
        if vma.vm_flags & Vm.DONTCOPY:
            continue
        dst.insert_vma(vma.copy())
        map_object(cpu, vma)
        if vma.vm_flags & Vm.WIPEONFORK or vma.vm_file is not None:
            # The child finds shared pages by faults of its own, as since v2.6.14;
            # before, it got the entries here. Linux: vma_needs_copy().
            continue
        if vma.is_hugetlb():
            yield from copy_hugetlb_page_range(mech, cpu, src, dst, vma)
            continue
        yield from _copy_page_range(mech, cpu, src, dst, vma)
        yield from mech.hooks.copied_vma(cpu, src, dst, vma)


def _copy_page_range(mech: Mechanism, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma) -> Op[None]:
    """Copy the entries of one COW mapping, as secondary MMUs are told. Linux: copy_page_range.

    The TLBs are flushed later, and a secondary MMU may be back before that.
    """
    failed: Fault | None = None
    yield from invalidate_range_start(cpu, src, vma.vm_start, vma.vm_end)
    yield from mech.hooks.copy_page_range_begin(cpu, src)
    try:
        yield from _copy_entries(mech, cpu, src, dst, vma)
    except Fault as fault:
        failed = fault
    yield from mech.hooks.copy_page_range_end(cpu, src)
    yield from invalidate_range_end(cpu, src, vma.vm_start, vma.vm_end)
    if failed is not None:
        raise failed


def _copy_entries(mech: Mechanism, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma) -> Op[None]:
    """The entries of one VMA. Linux: mm/memory.c:copy_pmd_range, copy_pte_range."""
    shared: list[int] = []
    for haddr in (yield from mech.huge_entries_in(cpu, src, vma.vm_start, vma.vm_end)):
        if (yield from copy_huge_pmd(mech, cpu, src, dst, haddr)):
            shared.append(haddr)
    for base in (yield from mech.entries_in(cpu, src, vma.vm_start, vma.vm_end)):
        if shared and base - base % src.hpage_size in shared:
            continue  # split by others since then, and the child has it whole
        pte = src.pte(base).peek()
        if isinstance(pte, Pte):
            yield from mech.hooks.copy_present_pte(cpu, src, dst, vma, base)
        elif pte is not None:
            yield src.page_table_lock.step("copy_one_pte", "share the swap entry")
            src.page_table_lock.enter(cpu)
            now = cpu.read(src.pte(base))
            if isinstance(now, MigrationEntry):
                share_migration_entry(mech, cpu, src, dst, base, now)
            elif isinstance(now, SwapEntry):
                swap_duplicate(cpu, mech.swap.of(now))
                mech.set_pte_at(cpu, dst, base, mech.hooks.fork_swap_entry(cpu, src, base, now))


def share_page(mech: Mechanism, cpu: Cpu, dst: MmStruct, base: int, pte: Pte) -> None:
    """Map the page of ``pte`` in ``dst`` too. Atomic: call inside a step.

    The zero page is mapped without being counted. Linux: the tail of copy_one_pte.
    """
    page = mech.page_of(pte)
    if not page.reserved:
        mech.get_page(cpu, page)
        mech.page_dup_rmap(cpu, page)
    mech.set_pte_at(cpu, dst, base, pte)


def share_migration_entry(
    mech: Mechanism, cpu: Cpu, src: MmStruct, dst: MmStruct, base: int, entry: MigrationEntry
) -> None:
    """Neither may write the page when it is there again. Atomic: call inside a step.

    Linux: copy_one_pte, copy_nonpresent_pte.
    """
    shared = MigrationEntry(entry.pte.wrprotect())
    if shared != entry:
        mech.set_pte_at(cpu, src, base, shared)
    mech.set_pte_at(cpu, dst, base, shared)


def copy_unlocked(
    mech: Mechanism, cpu: Cpu, dst: MmStruct, base: int, page: Page, lock: SpinLock, fn: str
) -> Op[Page]:
    """Copy a page for a child, and return the copy in the step that may map it under ``lock``.

    Precondition: nobody holds ``lock`` for this fork, and ``page`` stays.

    Raises:
        Fault: ENOMEM, in the step that called.
    """
    new = mech.alloc_page(cpu, base)
    yield from mech.copy_page_for_fork(cpu, dst, base, new, page, fn)
    yield lock.step(fn, "map the copy in the child")
    lock.enter(cpu)
    mech.page_add_new_anon_rmap(cpu, new)
    return new
