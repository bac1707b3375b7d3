"""What page tables are applied to: the port, and the simulated MMU.

The simulated MMU has a TLB per CPU. A CPU that touched a page keeps its old
translation until it is flushed or the access faults; one that never did
walks the page table and sees the new entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from uemu.abi import PAGE_MASK
from uemu.events import MmId
from uemu.mm.mm_struct import MmStruct
from uemu.mm.pte import AnyPte, Pte
from uemu.step import Cell, Cpu


class MmuPort(Protocol):
    """What the mechanism tells the hardware, or the real processes that stand for it."""

    def mm_created(self, mm: MmId, parent: MmId | None) -> None:
        """An address space begins; after a fork it starts as a copy of ``parent``."""
        ...

    def mm_gone(self, mm: MmId) -> None:
        """An address space ended."""
        ...

    def set_pte(self, mm: MmId, base: int, old: AnyPte, new: AnyPte) -> None:
        """An entry changed, and translations may stay stale until `flush`."""
        ...

    def cpus_of(self, mm: MmId) -> Sequence[Cpu]:
        """The CPUs that may hold translations of this mm and want an IPI each."""
        ...

    def flush(self, cpu: Cpu, target: Cpu, mm: MmId, start: int, end: int) -> None:
        """Drop what ``target`` holds of ``[start, end)``; ``cpu`` asks for it."""
        ...


@dataclass(frozen=True, slots=True)
class PageFault:
    """An access trapped.

    Attributes:
        addr: the address, in bytes.
        write: whether it was a store.
    """

    addr: int
    write: bool


class SimulatedMmu:
    """A TLB per CPU in front of the page tables."""

    def __init__(self) -> None:
        self._cpus: dict[MmId, tuple[Cpu, ...]] = {}
        self._tlbs: dict[tuple[str, MmId], dict[int, Cell[Pte | None]]] = {}

    def run_on(self, cpu: Cpu, mm: MmId) -> None:
        """Let ``cpu`` run threads of ``mm``. Linux: cpumask_set_cpu(cpu, mm_cpumask(mm))."""
        self._cpus[mm] = (*self._cpus.get(mm, ()), cpu)

    def leave(self, cpu: Cpu, mm: MmId) -> None:
        """``cpu`` runs another mm from now on. Linux: cpumask_clear_cpu, in switch_mm()."""
        self._cpus[mm] = tuple(other for other in self._cpus[mm] if other is not cpu)
        self._tlbs.pop((cpu.name, mm), None)

    def mm_created(self, mm: MmId, parent: MmId | None) -> None:
        """Nothing to do: no CPU has run it yet."""

    def mm_gone(self, mm: MmId) -> None:
        """Forget the CPUs of an address space that ended."""
        for cpu in self._cpus.pop(mm, ()):
            self._tlbs.pop((cpu.name, mm), None)

    def set_pte(self, mm: MmId, base: int, old: AnyPte, new: AnyPte) -> None:
        """Nothing to do: page walks read the entry itself."""

    def cpus_of(self, mm: MmId) -> Sequence[Cpu]:
        """The CPUs that run threads of this mm."""
        return self._cpus.get(mm, ())

    def flush(self, cpu: Cpu, target: Cpu, mm: MmId, start: int, end: int) -> None:
        """Drop what ``target`` holds of ``[start, end)``.

        Every flush is a serializing instruction on the CPU that executes it: its
        stores are seen by then. Source: Intel SDM 3A, 8.3 (INVLPG, MOV to CR3);
        Linux: arch/x86/mm/tlb.c:flush_tlb_func, which relies on it.
        """
        target.serialize(cpu)
        cpu.touch(("tlb", target.name, mm), write=True)
        for base, cell in self._tlbs.get((target.name, mm), {}).items():
            if start <= base < end:
                cpu.put(cell, None)

    def translate(self, cpu: Cpu, mm: MmStruct, addr: int, *, write: bool) -> int | PageFault:
        """Return the pfn an access by ``cpu`` reaches, or the fault it takes.

        Atomic: call inside a step.
        """
        base = addr & PAGE_MASK
        tlb = self._tlbs.setdefault((cpu.name, mm.id), {})
        cell = tlb.get(base)
        if cell is None:
            cell = tlb[base] = Cell(("tlb", cpu.name, mm.id, base), None)
        entry = cpu.read(cell)
        if entry is not None and (entry.write or not write):
            return entry.pfn
        pte = mm.walk(cpu, base)
        if isinstance(pte, Pte) and pte.user and (pte.write or not write):
            # A flush that came first would not have met this translation.
            cpu.touch(("tlb", cpu.name, mm.id), write=False)
            cpu.put(cell, pte)
            return pte.pfn
        # Intel SDM 3A, 4.10.4.1: a page fault invalidates the translation it met.
        cpu.put(cell, None)
        return PageFault(addr, write)
