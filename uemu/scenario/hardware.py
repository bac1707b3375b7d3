"""What a stepped world runs on: the port, and the simulated MMU behind it."""

from __future__ import annotations

from typing import Protocol

from uemu.kernel.cpus import CpuPort, SimulatedCpus
from uemu.mm.frames import BytesStore, FrameStore
from uemu.mm.mm_struct import MmStruct
from uemu.mm.mmu import MmuPort, SimulatedMmu
from uemu.step import Cpu


class Hardware(Protocol):
    """What a world runs on.

    Attributes:
        frames: physical memory.
        mmu: what page tables are applied to.
        cpus: what executes stores and loads.
    """

    @property
    def frames(self) -> FrameStore: ...
    @property
    def mmu(self) -> MmuPort: ...
    @property
    def cpus(self) -> CpuPort: ...

    def begin(self, mm: MmStruct, forked_by: Cpu | None) -> None:
        """``mm`` may be run from now on; it is new, or what a thread on ``forked_by`` forked."""
        ...

    def run_on(self, cpu: Cpu, mm: MmStruct) -> None:
        """Let ``cpu`` run threads of ``mm``."""
        ...

    def leave(self, cpu: Cpu, mm: MmStruct) -> None:
        """``cpu`` runs nothing of ``mm`` any more."""
        ...


class SimulatedHardware:
    """Frames as byte arrays, and a TLB per CPU."""

    def __init__(self) -> None:
        self.frames = BytesStore()
        self.mmu = SimulatedMmu()
        self.cpus = SimulatedCpus(self.frames, self.mmu)

    def begin(self, mm: MmStruct, forked_by: Cpu | None) -> None:
        """Nothing to do: an address space is its page table."""

    def run_on(self, cpu: Cpu, mm: MmStruct) -> None:
        """Let ``cpu`` run threads of ``mm``."""
        self.mmu.run_on(cpu, mm.id)

    def leave(self, cpu: Cpu, mm: MmStruct) -> None:
        """Forget what ``cpu`` has of ``mm``."""
        self.mmu.leave(cpu, mm.id)
