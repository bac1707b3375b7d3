"""What executes a program's stores and loads: the port, and CPUs that are simulated."""

from __future__ import annotations

from typing import Protocol

from uemu.abi import PAGE_SIZE
from uemu.mm.frames import FrameStore
from uemu.mm.mm_struct import MmStruct
from uemu.mm.mmu import MmuPort, PageFault, SimulatedMmu
from uemu.mm.pte import Pte
from uemu.step import Cpu


class CpuPort(Protocol):
    """Instructions, one at a time; each lies inside one page. Atomic: call inside a step."""

    def store(self, cpu: Cpu, mm: MmStruct, addr: int, data: bytes) -> int | PageFault:
        """Store through the CPU's translation: the pfn it went to, or the trap it took."""
        ...

    def load(self, cpu: Cpu, mm: MmStruct, addr: int, length: int) -> tuple[int, bytes] | PageFault:
        """Load through the CPU's translation: the pfn and its bytes, or the trap it took."""
        ...

    def look(self, mm: MmStruct, addr: int, pte: Pte, length: int) -> tuple[int, bytes]:
        """The pfn and the bytes that ``mm`` shows at ``addr`` through its entry ``pte``.

        No program does it and no CPU's translations change: it is how one
        finds out what a process sees.
        """
        ...


class SimulatedCpus:
    """CPUs of the simulated MMU, which reach the frames themselves.

    Beside another MMU, where real CPUs run freely, they can only look.
    """

    def __init__(self, frames: FrameStore, mmu: MmuPort) -> None:
        self._frames = frames
        self._mmu = mmu

    def store(self, cpu: Cpu, mm: MmStruct, addr: int, data: bytes) -> int | PageFault:
        """Store to the frame that the CPU's translation names."""
        found = self._simulated().translate(cpu, mm, addr, write=True)
        if not isinstance(found, PageFault):
            self._frames.write(found, addr % PAGE_SIZE, data)
        return found

    def load(self, cpu: Cpu, mm: MmStruct, addr: int, length: int) -> tuple[int, bytes] | PageFault:
        """Load from the frame that the CPU's translation names."""
        found = self._simulated().translate(cpu, mm, addr, write=False)
        if isinstance(found, PageFault):
            return found
        return found, self._frames.read(found, addr % PAGE_SIZE, length)

    def look(self, mm: MmStruct, addr: int, pte: Pte, length: int) -> tuple[int, bytes]:
        """The frame of ``pte``, and its bytes."""
        return pte.pfn, self._frames.read(pte.pfn, addr % PAGE_SIZE, length)

    def _simulated(self) -> SimulatedMmu:
        if not isinstance(self._mmu, SimulatedMmu):
            raise TypeError("on real processes, real CPUs load and store")
        return self._mmu
