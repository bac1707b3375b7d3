"""Stores and loads of real threads, with the faults they take.

A store to a page that the process may not write traps on the way; the
kernel's fault handler runs, the page tables change, and one and the same
resumption maps the frame and goes on with the store.
"""

from __future__ import annotations

import errno

from uemu.abi import PAGE_SIZE, page_range
from uemu.errors import Fault
from uemu.events import Loaded, Stored
from uemu.host import native
from uemu.kernel import Kernel
from uemu.live.hands import Hands, changed
from uemu.live.puppet import PuppetThread
from uemu.mm.mm_struct import MMAP_BASE, MmStruct
from uemu.mm.pte import Pte
from uemu.step import Op

SEGV, TRAP = native.SEGV, native.TRAP

PATIENCE = 8
"""How often in a row an access may fault where its page table says all is well."""

PLAIN = {1: "1", 2: "2", 4: "4", 8: "8"}
"""Lengths that one mov can access; others take ``rep movsb``."""


def check_user_addr(mm: MmStruct, addr: int, *, write: bool) -> None:
    """Raise EFAULT outside of what the emulated kernel manages.

    Below and above lies what makes the puppet a puppet; a real access there
    could succeed.
    """
    if not MMAP_BASE <= addr < mm.next_addr:
        raise Fault(errno.EFAULT, addr, "a store" if write else "a load")


class Accesses:
    """What puppets store and load."""

    def __init__(self, kernel: Kernel, hands: Hands) -> None:
        self._kernel = kernel
        self._hands = hands

    def store(self, thread: PuppetThread, addr: int, data: bytes) -> Op[None]:
        """Store with real instructions: one mov for 1, 2, 4 or 8 bytes, else rep movsb.

        Raises:
            Fault: EFAULT, not mapped or not writable.
        """
        slot = thread.slot
        check_user_addr(thread.process.mm, addr, write=True)
        for start in range(0, len(data), PAGE_SIZE):
            piece = data[start : start + PAGE_SIZE]
            plain = len(piece) in PLAIN
            slot.struct.addr = addr + start
            if plain:
                slot.struct.value = int.from_bytes(piece, "little")
                entry = slot.entry("store" + PLAIN[len(piece)])
            else:
                slot.struct.length = len(piece)
                slot.put(piece)
                entry = slot.entry("store_bytes")
            try:
                yield from self._access(thread, entry, write=True)
            except Fault as fault:
                if not plain:
                    # rep movsb has stored what lies before the page that refused.
                    self._announce(thread, addr + start, piece[: fault.addr - addr - start], Stored)
                raise
            self._announce(thread, addr + start, piece, Stored)

    def load(self, thread: PuppetThread, addr: int, length: int) -> Op[bytes]:
        """Load with real instructions.

        Raises:
            Fault: EFAULT, not mapped or not readable.
        """
        slot, pieces = thread.slot, []
        check_user_addr(thread.process.mm, addr, write=False)
        for start in range(0, length, PAGE_SIZE):
            size = min(PAGE_SIZE, length - start)
            slot.struct.addr = addr + start
            plain = size in PLAIN
            if not plain:
                slot.struct.length = size
            entry = slot.entry("load" + PLAIN[size] if plain else "load_bytes")
            yield from self._access(thread, entry, write=False)
            if plain:
                piece = (slot.struct.value & (1 << 8 * size) - 1).to_bytes(size, "little")
            else:
                piece = slot.get(size)
            pieces.append(piece)
            self._announce(thread, addr + start, piece, Loaded)
        return b"".join(pieces)

    def _announce(
        self, thread: PuppetThread, addr: int, data: bytes, kind: type[Stored] | type[Loaded]
    ) -> None:
        mm, at = thread.process.mm, addr
        for base in page_range(addr, len(data)) if data else ():
            end = min(addr + len(data), base + PAGE_SIZE)
            pte = mm.shows(base)
            if isinstance(pte, Pte):
                piece = data[at - addr : end - addr]
                self._kernel.events.emit(kind(thread.cpu.name, mm.id, at, pte.pfn, piece))
            at = end

    def _access(self, thread: PuppetThread, entry: int, *, write: bool) -> Op[None]:
        """Run one access to its end, through as many faults as it takes."""
        kernel, mmu, mm = self._kernel, self._hands.mmu, thread.process.mm
        reports = self._hands.reports
        tid, slot, cpu, event = thread.tid, thread.slot, thread.cpu, reports.event
        struct, resume, go, go_call = slot.struct, slot.resume, native.go, native.go_call
        what = "a store" if write else "a load"
        call: native.Call | None = None
        idle = 0
        err = go(tid, entry, 0, event)
        while True:
            if err or event.tid != tid or (event.kind != SEGV and event.kind != TRAP):
                event = reports.settle(thread, err, what)
            if event.kind == TRAP:
                if struct.count and call is not None:
                    struct.count = 0
                    self._hands.must_work(thread, [call], [slot.result(0)])
                return
            ip, made = event.ip, thread.nr_calls
            try:
                for step in kernel.fault(cpu, mm, event.addr, write=write):
                    if step.enabled is not None and not step.enabled():
                        yield step
            except Fault:
                self._hands.sync(thread)
                raise
            self._hands.sync_others(mm)
            is_here = thread.nr_calls == made
            call = mmu.take_call(mm.id) if is_here else None
            if call is not None:
                err = go_call(tid, resume, struct, ip, *call, event)
                idle = 0
            elif calls := mmu.take_calls(mm.id):
                # More than the fault's own: some that failed before. From the start again.
                self._hands.must_work(thread, calls, self._hands.make_calls(thread, calls, what))
                err = go(tid, entry, 0, event)
            elif not is_here:
                # While it waited, another's fault changed its page table through it.
                err = go(tid, entry, 0, event)
            elif idle < PATIENCE:
                idle += 1
                err = go(tid, 0, 0, event)
            else:
                raise changed(what, event.addr)
