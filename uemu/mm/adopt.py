"""Memory that was there before: pages of a real process that become frames.

A page that nobody ever pinned behaves alike under all kernels, so a real
program keeps its own. When one is first pinned it enters the emulated kernel
as if it had always been there: mapped, dirty, by all who share it.
"""

from __future__ import annotations

from collections.abc import Sequence

from uemu.abi import PAGE_SIZE
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.mm.vma import Vm, Vma, vm_flags_of
from uemu.step import Cpu


def cover(mm: MmStruct, start: int, end: int, prot: int, vm_flags: int = 0) -> None:
    """Let the emulated kernel know of the mappings in ``[start, end)`` that it does not know."""
    flags = vm_flags_of(prot) | Vm.MAYWRITE | vm_flags
    at = start
    for vma in [vma for vma in mm.vmas if vma.vm_start < end and vma.vm_end > start]:
        if at < vma.vm_start:
            mm.insert_vma(Vma(at, vma.vm_start, flags))
        at = vma.vm_end
    if at < end:
        mm.insert_vma(Vma(at, end, flags))


def adopt_page(
    mech: Mechanism, cpu: Cpu, sharers: Sequence[MmStruct], base: int, data: bytes
) -> Page:
    """Make a page with ``data`` that all ``sharers`` map at ``base``.

    One sharer has it for itself, writable where its VMA allows that; several
    share it write-protected, as fork left them. Atomic: call inside a step.

    Precondition: each sharer has a VMA there and no entry.
    """
    page = mech.alloc_page(cpu, base)
    mech.frames.write(page.pfn, 0, data)
    exclusive = len(sharers) == 1
    mech.page_add_new_anon_rmap(cpu, page)
    if exclusive:
        mech.hooks.new_anon_page(cpu, page)
    for nr, mm in enumerate(sharers):
        vma = mm.find_vma(base)
        if vma is None:
            raise ValueError(f"{mm} has no VMA at {base:#x}")
        if nr:
            mech.get_page(cpu, page)
            mech.page_dup_rmap(cpu, page)
        user = vma.vm_flags & Vm.READ != 0
        mech.set_pte_at(cpu, mm, base, Pte(page.pfn, exclusive and vma.writable(), True, user))
    return page


def disown(mech: Mechanism, cpu: Cpu, mm: MmStruct, start: int, end: int) -> None:
    """Forget ``[start, end)``, which the process has got back as memory of its own.

    Unlike munmap(2) it takes nothing away. Atomic: call inside a step.
    """
    for base in mm.bases_in(start, end):
        cell = mm.ptes[base]
        pte = cpu.read(cell)
        mech.ptep_get_and_clear(cpu, mm, base)
        if isinstance(pte, Pte) and not (page := mech.page_of(pte)).reserved:
            mech.page_remove_rmap(cpu, page)
            mech.put_page(cpu, page)
        del mm.ptes[base]
    many = (end - start) // PAGE_SIZE > len(mm.ptes)
    for base in list(mm.ptes) if many else range(start, end, PAGE_SIZE):
        if start <= base < end:
            mm.ptes.pop(base, None)
    for vma in mm.vmas_in(start, end):
        mm.remove_vma(vma)
