"""Page tables applied to real processes, one step at a time."""

from __future__ import annotations

from collections.abc import Sequence

from uemu.events import MmId
from uemu.live.stepped.processes import Processes
from uemu.live.stepped.tlb import RealTlbs
from uemu.mm.mm_struct import MmStruct
from uemu.mm.pte import AnyPte
from uemu.step import Cpu


class SteppedMmu:
    """An `MmuPort` whose translations stay stale until they are flushed."""

    def __init__(self, processes: Processes, tlbs: RealTlbs) -> None:
        self._processes = processes
        self._tlbs = tlbs
        self._cpus: dict[MmId, tuple[Cpu, ...]] = {}

    def run_on(self, cpu: Cpu, mm: MmStruct) -> None:
        """Let ``cpu`` run threads of ``mm``, in a process of its own."""
        self._processes.run_on(cpu, mm)
        self._cpus[mm.id] = (*self._cpus.get(mm.id, ()), cpu)

    def leave(self, cpu: Cpu, mm: MmStruct) -> None:
        """``cpu`` needs no flush of ``mm`` any more; its process is there until ``mm`` ends."""
        self._cpus[mm.id] = tuple(other for other in self._cpus[mm.id] if other is not cpu)

    def mm_created(self, mm: MmId, parent: MmId | None) -> None:
        """Nothing yet: its process is there when it may run."""

    def mm_gone(self, mm: MmId) -> None:
        """End its processes."""
        self._cpus.pop(mm, None)
        self._processes.exit(mm)

    def set_pte(self, mm: MmId, base: int, old: AnyPte, new: AnyPte) -> None:
        """Nothing: whoever has the old entry mapped keeps it until it is flushed or traps."""

    def cpus_of(self, mm: MmId) -> Sequence[Cpu]:
        """The CPUs that run threads of this mm."""
        return self._cpus.get(mm, ())

    def flush(self, cpu: Cpu, target: Cpu, mm: MmId, start: int, end: int) -> None:
        """Unmap in the process of ``target`` what it has in ``[start, end)``.

        Who tears an address space down may never have run in it.
        """
        if target in self.cpus_of(mm):
            self._tlbs.drop(self._processes.of_cpu(target), start, end)
