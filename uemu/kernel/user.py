"""What a CPU does in user mode, on the simulated MMU: store and load."""

from __future__ import annotations

from uemu.abi import PAGE_SIZE, page_range
from uemu.events import EventBus, Loaded, Seen, Stored
from uemu.kernel.touch import brief, touch_buffer
from uemu.mm.fault import do_user_fault
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.mmu import PageFault, SimulatedMmu
from uemu.mm.pte import Pte
from uemu.step import Cpu, Op, Step


class UserMode:
    """Stores and loads through a TLB, with the faults they take."""

    def __init__(self, mech: Mechanism, events: EventBus) -> None:
        self._mech = mech
        self._emit = events.emit

    def store(self, cpu: Cpu, mm: MmStruct, addr: int, data: bytes) -> Op[None]:
        """A store instruction per page that ``data`` touches, on the simulated MMU.

        Raises:
            Fault: EFAULT, the program's own SIGSEGV.
        """
        mmu = self._simulated()
        for piece_addr, piece in _by_page(addr, data):
            while True:
                yield Step("store", f"{brief(piece)} -> {mm.name}")
                found = mmu.translate(cpu, mm, piece_addr, write=True)
                if not isinstance(found, PageFault):
                    break
                yield from do_user_fault(self._mech, cpu, mm, piece_addr, write=True)
            offset = piece_addr % PAGE_SIZE
            self._mech.touch_frame(cpu, found, offset, len(piece), write=True)
            touch_buffer(cpu, mm, piece_addr, len(piece))
            self._mech.frames.write(found, offset, piece)
            self._emit(Stored(cpu.name, mm.id, piece_addr, found, piece))

    def load(self, cpu: Cpu, mm: MmStruct, addr: int, length: int) -> Op[bytes]:
        """A load instruction per page, on the simulated MMU.

        Raises:
            Fault: EFAULT, the program's own SIGSEGV.
        """
        mmu = self._simulated()
        read = []
        for piece_addr, size in _split(addr, length):
            while True:
                yield Step("load", f"{mm.name} reads")
                found = mmu.translate(cpu, mm, piece_addr, write=False)
                if not isinstance(found, PageFault):
                    break
                yield from do_user_fault(self._mech, cpu, mm, piece_addr, write=False)
            offset = piece_addr % PAGE_SIZE
            self._mech.touch_frame(cpu, found, offset, size, write=False)
            touch_buffer(cpu, mm, piece_addr, size, write=False)
            data = self._mech.frames.read(found, offset, size)
            self._emit(Loaded(cpu.name, mm.id, piece_addr, found, data))
            read.append(data)
        return b"".join(read)

    def _simulated(self) -> SimulatedMmu:
        if not isinstance(self._mech.mmu, SimulatedMmu):
            raise TypeError("on real processes, real CPUs load and store")
        return self._mech.mmu

    def look(self) -> None:
        """Announce what every address space shows.

        Precondition: nothing is under way.
        """
        for mm in list(self._mech.mms.values()):
            for base, cell in mm.ptes.items():
                pte = cell.peek()
                if isinstance(pte, Pte) and pte.user:
                    data = self._mech.frames.read(pte.pfn, 0, PAGE_SIZE)
                    self._emit(Seen(mm.id, base, pte.pfn, data))


def _split(addr: int, length: int) -> list[tuple[int, int]]:
    pieces = []
    for base in page_range(addr, length):
        start, stop = max(addr, base), min(addr + length, base + PAGE_SIZE)
        pieces.append((start, stop - start))
    return pieces


def _by_page(addr: int, data: bytes) -> list[tuple[int, bytes]]:
    return [(at, data[at - addr : at - addr + size]) for at, size in _split(addr, len(data))]
