"""Stores and loads by real instructions, through whatever the process really has mapped.

A trap is a miss, or an entry that does not allow the access: the page table
is walked, as the hardware does, and the instruction executed once more; or
the trap is a page fault, and the caller's kernel gets it. Which frame was
reached is asked of the real process afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

from uemu.abi import PAGE_MASK, PAGE_SIZE
from uemu.errors import Disagreement
from uemu.host import native
from uemu.host.memfd import MemfdFrames
from uemu.live.access import PLAIN
from uemu.live.hands import changed
from uemu.live.puppet import PuppetThread
from uemu.live.reports import Reports
from uemu.live.stepped.processes import Processes
from uemu.live.stepped.tlb import RealTlbs
from uemu.mm.mm_struct import MMAP_BASE, MMAP_END, MmStruct
from uemu.mm.mmu import PageFault
from uemu.mm.pte import Pte
from uemu.step import Cpu


@dataclass(slots=True)
class Tally:
    """What real instructions did.

    Attributes:
        stores, loads: of programs, that went through.
        looks: loads that only find out what a process sees.
        traps: SIGSEGVs that programs took, misses included.
        stale: stores and loads of programs that went through an entry that
            the page table had no more.
    """

    stores: int = 0
    loads: int = 0
    looks: int = 0
    traps: int = 0
    stale: int = 0


class RealCpus:
    """A `CpuPort` whose instructions are real."""

    def __init__(
        self, reports: Reports, processes: Processes, tlbs: RealTlbs, frames: MemfdFrames
    ) -> None:
        self.tally = Tally()
        self._reports = reports
        self._processes = processes
        self._tlbs = tlbs
        self._frames = frames

    def store(self, cpu: Cpu, mm: MmStruct, addr: int, data: bytes) -> int | PageFault:
        """Store really: one mov for 1, 2, 4 or 8 bytes, else ``rep movsb``.

        Raises:
            Disagreement: the bytes are not in the frame that is mapped there.
        """
        thread = self._processes.of_cpu(cpu)
        slot = thread.slot
        slot.struct.addr = addr
        if len(data) in PLAIN:
            slot.struct.value = int.from_bytes(data, "little")
            entry = slot.entry("store" + PLAIN[len(data)])
        else:
            slot.struct.length = len(data)
            slot.put(data)
            entry = slot.entry("store_bytes")
        if not self._access(cpu, thread, mm, addr, entry, write=True):
            return PageFault(addr, True)
        pfn = self._tlbs.pfn_at(thread, addr)
        there = self._frames.read(pfn, addr % PAGE_SIZE, len(data))
        if there != data:
            raise Disagreement(
                f"process {thread.process.pid} stored {data!r} at {addr:#x}, which is pfn {pfn};"
                f" there is {there!r}"
            )
        self.tally.stores += 1
        self._note_stale(mm, addr, pfn, write=True)
        return pfn

    def load(self, cpu: Cpu, mm: MmStruct, addr: int, length: int) -> tuple[int, bytes] | PageFault:
        """Load really."""
        thread = self._processes.of_cpu(cpu)
        entry = self._prepare_load(thread, addr, length)
        if not self._access(cpu, thread, mm, addr, entry, write=False):
            return PageFault(addr, False)
        data = self._loaded(thread, length)
        pfn = self._tlbs.pfn_at(thread, addr)
        self.tally.loads += 1
        self._note_stale(mm, addr, pfn, write=False)
        return pfn, data

    def look(self, mm: MmStruct, addr: int, pte: Pte, length: int) -> tuple[int, bytes]:
        """Load really, in the process of the address space, where ``pte`` is mapped now.

        Raises:
            Disagreement: it trapped.
        """
        thread = self._processes.of_space(mm)
        self._tlbs.fill(thread, addr & PAGE_MASK, pte.pfn, write=False)
        event = self._go(thread, self._prepare_load(thread, addr, length), "a look")
        if event.kind != native.TRAP:
            raise Disagreement(
                f"process {thread.process.pid} trapped at {event.addr:#x}, where pfn {pte.pfn}"
                " was just mapped"
            )
        self.tally.looks += 1
        return self._tlbs.pfn_at(thread, addr), self._loaded(thread, length)

    def _prepare_load(self, thread: PuppetThread, addr: int, length: int) -> int:
        slot = thread.slot
        slot.struct.addr = addr
        if length in PLAIN:
            return slot.entry("load" + PLAIN[length])
        slot.struct.length = length
        return slot.entry("load_bytes")

    def _loaded(self, thread: PuppetThread, length: int) -> bytes:
        if length in PLAIN:
            value = thread.slot.struct.value & (1 << 8 * length) - 1
            return value.to_bytes(length, "little")
        return thread.slot.get(length)

    def _access(
        self, cpu: Cpu, thread: PuppetThread, mm: MmStruct, addr: int, entry: int, *, write: bool
    ) -> bool:
        """Execute an instruction; False if it takes a page fault."""
        what, base = "a store" if write else "a load", addr & PAGE_MASK
        if not MMAP_BASE <= addr < MMAP_END:
            # There lies what makes a puppet a puppet; the access could really succeed.
            return False
        if not self._traps(thread, entry, base, what):
            return True
        pte = mm.walk(cpu, base)
        if not isinstance(pte, Pte) or not pte.user or (write and not pte.write):
            # Intel SDM 3A, 4.10.4.1: a page fault invalidates the translation it met.
            self._tlbs.drop(thread, base, base + PAGE_SIZE)
            return False
        self._tlbs.fill(thread, base, pte.pfn, write=pte.write)
        if self._traps(thread, entry, base, what):
            raise Disagreement(
                f"{what} of process {thread.process.pid} at {addr:#x} trapped, and again with"
                f" {pte} mapped"
            )
        return True

    def _traps(self, thread: PuppetThread, entry: int, base: int, what: str) -> bool:
        event = self._go(thread, entry, what)
        if event.kind == native.TRAP:
            return False
        if event.kind != native.SEGV or event.addr & PAGE_MASK != base:
            raise changed(what, event.addr)
        self.tally.traps += 1
        return True

    def _go(self, thread: PuppetThread, entry: int, what: str) -> native.Event:
        err = native.go(thread.tid, entry, 0, self._reports.event)
        return self._reports.settle(thread, err, what)

    def _note_stale(self, mm: MmStruct, addr: int, pfn: int, *, write: bool) -> None:
        pte = mm.shows(addr & PAGE_MASK)
        if not isinstance(pte, Pte) or pte.pfn != pfn or (write and not pte.write):
            self.tally.stale += 1
