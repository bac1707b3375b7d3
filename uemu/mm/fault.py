"""Page faults. Linux: mm/memory.c:handle_mm_fault, do_anonymous_page, wp_page_*."""

from __future__ import annotations

import errno

from uemu.abi import PAGE_MASK, PAGE_SIZE
from uemu.errors import Fault
from uemu.events import FaultTaken
from uemu.mm.hugetlb import hugetlb_fault
from uemu.mm.mechanism import Mechanism
from uemu.mm.migration_entries import migration_entry_wait
from uemu.mm.mm_struct import MmStruct
from uemu.mm.notifier import (
    invalidate_page,
    invalidate_range_end,
    invalidate_range_start,
    notifiers_of,
)
from uemu.mm.page import Page
from uemu.mm.pte import MigrationEntry, Pte, SwapEntry
from uemu.mm.shmem import do_shared_fault, wp_page_shared
from uemu.mm.swapin import do_swap_page
from uemu.mm.thp import huge_fault
from uemu.mm.vma import Vm, Vma
from uemu.step import Cpu, Op, Step

_COPY = Step("cow_user_page", "copy the frame")


def do_user_fault(mech: Mechanism, cpu: Cpu, mm: MmStruct, addr: int, *, write: bool) -> Op[None]:
    """Handle a trap of a CPU access at ``addr``.

    Raises:
        Fault: EFAULT, nothing is mapped there or the access is not allowed
            (the program gets its SIGSEGV); ENOMEM, there is no page frame.

    Linux: arch/x86/mm/fault.c:do_user_addr_fault.
    """
    lock = mm.mmap_lock
    hooks = mech.hooks
    yield from hooks.fault_begin(cpu, mm, addr, write=write)
    yield lock.read_step(hooks.fault_fn, hooks.lock_name)
    lock.down_read(cpu)
    mech.publish(FaultTaken, cpu.name, mm.id, addr, write)
    vma = mm.find_vma(addr)
    if vma is None or not vma.vm_flags & (Vm.WRITE if write else Vm.READ):
        lock.up_read(cpu)
        raise Fault(errno.EFAULT, addr, "a store" if write else "a load")
    try:
        yield from handle_mm_fault(mech, cpu, mm, vma, addr & PAGE_MASK, write=write)
    except Fault:
        lock.up_read(cpu)  # VM_FAULT_OOM
        raise
    lock.up_read(cpu)


def handle_mm_fault(
    mech: Mechanism,
    cpu: Cpu,
    mm: MmStruct,
    vma: Vma,
    base: int,
    *,
    write: bool,
    unshare: bool = False,
) -> Op[None]:
    """Make ``base`` accessible, once; the caller looks again.

    Precondition: mmap_lock is held. Linux: mm/memory.c:handle_pte_fault.
    """
    if vma.is_hugetlb():
        huge = base - base % mm.hpage_size
        yield from hugetlb_fault(mech, cpu, mm, vma, huge, write=write, unshare=unshare)
        return
    if vma.may_be_huge() and (
        yield from huge_fault(mech, cpu, mm, vma, base, write=write, unshare=unshare)
    ):
        return
    pte = cpu.read(mm.pte(base))
    if pte is None and vma.vm_file is not None:
        yield from do_shared_fault(mech, cpu, mm, vma, vma.vm_file, base, write=write)
    elif pte is None:
        yield from do_anonymous_page(mech, cpu, mm, vma, base, write=write)
    elif isinstance(pte, MigrationEntry):
        yield from migration_entry_wait(mech, cpu, mm, base)
    elif isinstance(pte, SwapEntry):
        yield from do_swap_page(mech, cpu, mm, vma, base, pte, write=write)
    elif write and not pte.write and vma.vm_file is not None:
        yield from wp_page_shared(mech, cpu, mm, vma, base)
    elif (write and not pte.write) or unshare:
        yield from mech.hooks.do_wp_page(cpu, mm, vma, base, unshare=unshare)


def do_anonymous_page(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, *, write: bool
) -> Op[None]:
    """First touch: map a zeroed page, or the zero page on a read.

    Linux: mm/memory.c:do_anonymous_page. The zero page was not mapped by
    2.6.24 to 2.6.31, which allocated on a read too.
    """
    yield mm.page_table_lock.step("do_anonymous_page", "map a zeroed page")
    mm.page_table_lock.enter(cpu)
    if mm.walk(cpu, base) is not None:  # pmd_trans_unstable(), pte_none()
        return
    if not write and mech.hooks.read_fault_maps_zero_page:
        mech.set_pte_at(cpu, mm, base, Pte(mech.zero_page().pfn, False))
        return
    page = mech.alloc_page(cpu, base)
    mech.frames.zero(page.pfn)
    mech.page_add_new_anon_rmap(cpu, page)
    mech.hooks.new_anon_page(cpu, page)
    mech.hooks.first_touch(cpu, vma, page)
    mech.set_pte_at(cpu, mm, base, Pte(page.pfn, vma.writable(), True))


def wp_page_reuse(mech: Mechanism, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, pte: Pte) -> None:
    """Make the entry writable where the VMA allows it. Atomic: call inside a step.

    The caller's own TLB may keep the old entry: a stale read-only one only
    faults again. Linux: mm/memory.c:wp_page_reuse, maybe_mkwrite.
    """
    mech.set_pte_at(cpu, mm, base, Pte(pte.pfn, vma.writable(), True))


def wp_page_copy(
    mech: Mechanism,
    cpu: Cpu,
    mm: MmStruct,
    vma: Vma,
    base: int,
    orig_pte: Pte,
    old: Page,
    *,
    writable: bool = True,
) -> Op[None]:
    """Give ``mm`` a copy of ``old`` in place of it.

    Precondition: called in the step that looked at the entry under the page
    table lock; that step takes the reference that keeps ``old`` alive.

    Linux: mm/memory.c:wp_page_copy (do_wp_page before v4.1).
    """
    mech.get_page(cpu, old)
    yield from wp_page_gotten(mech, cpu, mm, vma, base, orig_pte, old, writable=writable)


def wp_page_gotten(
    mech: Mechanism,
    cpu: Cpu,
    mm: MmStruct,
    vma: Vma,
    base: int,
    orig_pte: Pte,
    old: Page,
    *,
    writable: bool = True,
) -> Op[None]:
    """Copy a page that was held when its entry was looked at, and map the copy.

    Precondition: one reference of ``old`` is the caller's; it is given back here.
    The zero page has no rmap and its copy is a fresh page of zeros.

    Linux: mm/memory.c:do_wp_page from "gotten:" on (before v4.1).
    """
    yield _COPY
    try:
        new = mech.alloc_page(cpu, base)
    except Fault:
        mech.put_page(cpu, old)
        raise
    mech.copy_page(cpu, mm, base, new, old, "cow_user_page")
    around = mech.hooks.cow_tells_range
    if around:
        yield from invalidate_range_start(cpu, mm, base, base + PAGE_SIZE)
    lock = mm.page_table_lock
    yield lock.step(mech.hooks.copy_fn, "pte_same ?")
    lock.enter(cpu)
    if cpu.read(mm.pte(base)) != orig_pte:
        mech.put_page(cpu, new)
        mech.put_page(cpu, old)
        if around:
            yield from invalidate_range_end(cpu, mm, base, base + PAGE_SIZE)
        return
    if mech.mmu.cpus_of(mm.id) or notifiers_of(cpu, mm):
        # Clear and flush before the new entry is set, so that no two CPUs of
        # the mm use different frames. Linux: ptep_clear_flush().
        lock.acquire(cpu)
        mech.ptep_get_and_clear(cpu, mm, base)
        yield from mech.flush_tlb_range(cpu, mm, base, base + PAGE_SIZE)
        if not around:
            yield from invalidate_page(cpu, mm, base)
    mech.page_add_new_anon_rmap(cpu, new)
    mech.hooks.new_anon_page(cpu, new)
    mech.set_pte_at(
        cpu, mm, base, Pte(new.pfn, writable and vma.writable(), writable or orig_pte.dirty)
    )
    mech.page_remove_rmap(cpu, old)
    mech.put_page(cpu, old, 1 if old.reserved else 2)
    lock.release(cpu)
    if around:
        yield from invalidate_range_end(cpu, mm, base, base + PAGE_SIZE)
