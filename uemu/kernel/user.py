"""What a CPU does in user mode, one step at a time: store and load."""

from __future__ import annotations

from uemu.abi import PAGE_SIZE, page_range
from uemu.events import EventBus, Loaded, Seen, Stored
from uemu.kernel.cpus import CpuPort
from uemu.kernel.touch import brief, touch_buffer
from uemu.mm.fault import do_user_fault
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.mmu import PageFault
from uemu.mm.pte import Pte, SwapEntry
from uemu.mm.swap import show_swapped
from uemu.step import Cpu, Op, Step


class UserMode:
    """Stores and loads through a TLB, with the faults they take.

    Args:
        cpus: what executes them.
    """

    def __init__(self, mech: Mechanism, events: EventBus, cpus: CpuPort) -> None:
        self._mech = mech
        self._cpus = cpus
        self._emit = events.emit

    def store(self, cpu: Cpu, mm: MmStruct, addr: int, data: bytes) -> Op[None]:
        """A store instruction per page that ``data`` touches.

        Raises:
            Fault: EFAULT, the program's own SIGSEGV.
        """
        for piece_addr, piece in _by_page(addr, data):
            while True:
                yield Step("store", f"{brief(piece)} -> {mm.name}")
                found = self._cpus.store(cpu, mm, piece_addr, piece)
                if not isinstance(found, PageFault):
                    break
                yield from do_user_fault(self._mech, cpu, mm, piece_addr, write=True)
            self._mech.touch_frame(cpu, found, piece_addr % PAGE_SIZE, len(piece), write=True)
            touch_buffer(cpu, mm, piece_addr, len(piece))
            self._emit(Stored(cpu.name, mm.id, piece_addr, found, piece))

    def load(self, cpu: Cpu, mm: MmStruct, addr: int, length: int) -> Op[bytes]:
        """A load instruction per page.

        Raises:
            Fault: EFAULT, the program's own SIGSEGV.
        """
        read = []
        for piece_addr, size in _split(addr, length):
            while True:
                yield Step("load", f"{mm.name} reads")
                found = self._cpus.load(cpu, mm, piece_addr, size)
                if not isinstance(found, PageFault):
                    break
                yield from do_user_fault(self._mech, cpu, mm, piece_addr, write=False)
            pfn, data = found
            self._mech.touch_frame(cpu, pfn, piece_addr % PAGE_SIZE, size, write=False)
            touch_buffer(cpu, mm, piece_addr, size, write=False)
            self._emit(Loaded(cpu.name, mm.id, piece_addr, pfn, data))
            read.append(data)
        return b"".join(read)

    def look(self) -> None:
        """Announce what every address space shows.

        Precondition: nothing is under way.
        """
        for mm in list(self._mech.mms.values()):
            for base, pte in mm.entries():
                if isinstance(pte, Pte) and pte.user:
                    pfn, data = self._cpus.look(mm, base, pte, PAGE_SIZE)
                    self._emit(Seen(mm.id, base, pfn, data))
                elif isinstance(pte, SwapEntry):
                    pfn, data = show_swapped(self._mech, pte)
                    self._emit(Seen(mm.id, base, pfn, data))


def _split(addr: int, length: int) -> list[tuple[int, int]]:
    pieces = []
    for base in page_range(addr, length):
        start, stop = max(addr, base), min(addr + length, base + PAGE_SIZE)
        pieces.append((start, stop - start))
    return pieces


def _by_page(addr: int, data: bytes) -> list[tuple[int, bytes]]:
    return [(at, data[at - addr : at - addr + size]) for at, size in _split(addr, len(data))]
