"""Page tables applied to real processes.

A present, writable entry is the frame mapped read-write; a write-protected
one is the frame mapped read-only, so that a store traps; nothing mapped is
PROT_NONE. Entries that change are collected while an operation runs and
turned into mmap and mprotect calls, which a thread of that process makes in
its stub. An operation is atomic for the threads of the process, so there is
nothing to flush: the real kernel flushes the real TLBs.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass, field

from uemu.abi import (
    MAP_FIXED,
    MAP_NORESERVE,
    PAGE_SIZE,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    SYS_MMAP,
    SYS_MPROTECT,
)
from uemu.events import MmId
from uemu.host.memfd import MemfdFrames
from uemu.host.native import Call
from uemu.mm.mm_struct import MmStruct
from uemu.mm.pte import AnyPte, Pte
from uemu.step import Cpu

SHARED_FIXED = mmap.MAP_SHARED | MAP_FIXED
HIDDEN_FIXED = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE

RW = PROT_READ | PROT_WRITE

Placed = tuple[int, int]
"""A frame's offset in the memfd (-1: none), and its PROT_*."""

HIDDEN: Placed = (-1, PROT_NONE)
UNKNOWN: Placed = (-2, PROT_NONE)


@dataclass(slots=True)
class _Applied:
    """What a process really has mapped, and what is still to be done."""

    placed: dict[int, Placed] = field(default_factory=dict)
    pending: dict[int, AnyPte] = field(default_factory=dict)


class LiveMmu:
    """An `MmuPort` for real processes.

    Args:
        frames: where the frames are.
        frames_fd: the memfd's number *in the traced processes*.
    """

    def __init__(self, frames: MemfdFrames, frames_fd: int) -> None:
        self._frames = frames
        self._fd = frames_fd
        self._mms: dict[MmId, _Applied] = {}

    def mm_created(self, mm: MmId, parent: MmId | None) -> None:
        """Nothing is mapped in it yet; a real fork tells `forked`."""
        self._mms[mm] = _Applied()

    def mm_gone(self, mm: MmId) -> None:
        """Forget an address space."""
        del self._mms[mm]

    def set_pte(self, mm: MmId, base: int, old: AnyPte, new: AnyPte) -> None:
        """Note a change for `take_calls`."""
        self._mms[mm].pending[base] = new

    def cpus_of(self, mm: MmId) -> Sequence[Cpu]:
        """None: nobody keeps translations that we would have to flush."""
        return ()

    def flush(self, cpu: Cpu, target: Cpu, mm: MmId, start: int, end: int) -> None:
        """Nothing to do."""

    def forked(self, src: MmId, dst: MmId) -> None:
        """The real fork happened: ``dst`` has really mapped what ``src`` has.

        What the child's page table does not have is hidden from it.
        """
        child = self._mms[dst]
        child.placed = dict(self._mms[src].placed)
        for base in child.placed:
            child.pending.setdefault(base, None)

    def unmapped(self, mm: MmId, start: int, end: int) -> None:
        """``[start, end)`` is really unmapped; nothing is left to do there."""
        applied = self._mms[mm]
        for table in (applied.placed, applied.pending):
            for base in [b for b in table if start <= b < end]:
                del table[base]

    def not_applied(self, mm: MmStruct, calls: Sequence[Call]) -> None:
        """These calls of `take_calls` failed: what they were for is still to be done."""
        applied = self._mms[mm.id]
        for _, start, length, *_ in calls:
            for base in range(start, start + length, PAGE_SIZE):
                applied.placed[base] = UNKNOWN
                applied.pending[base] = mm.shows(base)

    def with_changes(self) -> list[MmId]:
        """The address spaces with something for `take_calls` that did not fail before."""
        return [
            mm
            for mm, applied in self._mms.items()
            if any(applied.placed.get(base) != UNKNOWN for base in applied.pending)
        ]

    def take_calls(self, mm: MmId) -> list[Call]:
        """The system calls that make the real process agree with its page table."""
        applied = self._mms[mm]
        pending, placed = applied.pending, applied.placed
        if not pending:
            return []
        changes = []
        for base in sorted(pending):
            target = self._target(pending[base])
            before = placed.get(base, HIDDEN)
            if before != target:
                placed[base] = target
                changes.append((base, before[0], target))
        pending.clear()
        return self._merge(changes)

    def take_call(self, mm: MmId) -> Call | None:
        """The one call that a fault leads to, or None: ask `take_calls`."""
        applied = self._mms[mm]
        pending = applied.pending
        if len(pending) != 1:
            return None
        base, pte = pending.popitem()
        if type(pte) is not Pte or not pte.user:
            pending[base] = pte
            return None
        offset = self._frames.offset_of(pte.pfn)
        prot = RW if pte.write else PROT_READ
        before = applied.placed.get(base, HIDDEN)
        applied.placed[base] = (offset, prot)
        if before[0] == offset:
            return (SYS_MPROTECT, base, PAGE_SIZE, prot, 0, 0, 0)
        return (SYS_MMAP, base, PAGE_SIZE, prot, SHARED_FIXED, self._fd, offset)

    def _target(self, pte: AnyPte) -> Placed:
        if type(pte) is not Pte:
            return HIDDEN
        prot = (RW if pte.write else PROT_READ) if pte.user else PROT_NONE
        return self._frames.offset_of(pte.pfn), prot

    def _calls(self, base: int, nr_pages: int, before: int, target: Placed) -> list[Call]:
        offset, prot = target
        length = nr_pages * PAGE_SIZE
        if offset == before:
            return [(SYS_MPROTECT, base, length, prot, 0, 0, 0)]
        if offset < 0:
            return [(SYS_MMAP, base, length, PROT_NONE, HIDDEN_FIXED, -1 & (1 << 64) - 1, 0)]
        return self.place_calls(base, length, prot, offset)

    def place_calls(self, base: int, length: int, prot: int, offset: int) -> list[Call]:
        """What maps frames that lie side by side, from ``offset`` of the memfd on."""
        return [(SYS_MMAP, base, length, prot, SHARED_FIXED, self._fd, offset)]

    def _merge(self, changes: list[tuple[int, int, Placed]]) -> list[Call]:
        """One call for each run of neighbours that change alike."""
        calls: list[Call] = []
        i = 0
        while i < len(changes):
            base, before, (offset, prot) = changes[i]
            only_prot = before == offset
            n = 1
            while i + n < len(changes):
                next_base, next_before, (next_offset, next_prot) = changes[i + n]
                same = (
                    next_base == base + n * PAGE_SIZE
                    and next_prot == prot
                    and (next_before == next_offset) is only_prot
                )
                beside = only_prot or (
                    next_offset == (offset if offset < 0 else offset + n * PAGE_SIZE)
                )
                if not (same and beside):
                    break
                n += 1
            calls += self._calls(base, n, before, (offset, prot))
            i += n
        return calls
