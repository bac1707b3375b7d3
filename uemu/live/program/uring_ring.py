"""A ring of io_uring: where its queues are, and what is registered with it.

The queues lie in memory that the kernel shares with whoever maps the ring:
here, for as long as it is looked at, since whoever maps it keeps it alive.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from uemu.errors import Fault
from uemu.live.program.uring_abi import (
    ACCEPT,
    CLOSE,
    FILES_UPDATE,
    OPENAT,
    OPENAT2,
    PIPE,
    READ_FIXED,
    READV_FIXED,
    SEND_ZC,
    SENDMSG_ZC,
    SETUP_DEFER_TASKRUN,
    SETUP_NO_SQARRAY,
    SETUP_SQE128,
    SOCKET,
    SQ_CQ_OVERFLOW,
    SQ_TASKRUN,
    SQE,
    URING_CMD,
    WRITE_FIXED,
    WRITEV_FIXED,
    Sqe,
)

if TYPE_CHECKING:
    from uemu.dma.engine import Registration
    from uemu.live.program.tasks import ProgramMm

OFF_SQES: Final = 0x1000_0000
CHANGE_FILES: Final = (OPENAT, OPENAT2, ACCEPT, CLOSE, FILES_UPDATE, SOCKET, PIPE)
USE_BUFFERS: Final = (
    *(READ_FIXED, WRITE_FIXED, READV_FIXED, WRITEV_FIXED),
    *(URING_CMD, SEND_ZC, SENDMSG_ZC),
)
WORD: Final = struct.Struct("=I")


@dataclass(eq=False, slots=True)
class Registered:
    """A registered buffer.

    Attributes:
        addr, length: where it was then, in bytes.
        mm: whose memory it is.
        io: its frames.
        nr_children: how many that memory's process had then.
    """

    addr: int
    length: int
    mm: ProgramMm
    io: Registration
    nr_children: int

    @property
    def is_over_fork(self) -> bool:
        """Whether there was a fork since."""
        return self.mm.nr_children > self.nr_children


@dataclass(frozen=True, slots=True)
class Entered:
    """An io_uring_enter of which nothing is left but to wait.

    Attributes:
        fd: the ring.
        count: how many it was to submit, as it stands in the register.
        submitted: how many it did; 0: it began so.
        least: how many completions it waits for.
        is_timed: whether it waits for a time only.
    """

    fd: int
    count: int
    submitted: int
    least: int
    is_timed: bool


@dataclass(eq=False, slots=True)
class Ring:
    """A ring.

    Attributes:
        entries: how many the submission queue has.
        flags: IORING_SETUP_*.
        head, tail, sq_flags, array: where these of the submission queue are among the rings,
            in bytes.
        cq_head, cq_tail: the same of the completion queue.
        cq_entries: how many that has.
        buffers: what is registered; None: nothing, or what only the host kernel has to do with.
        files: descriptors of ours for registered files; -1: none, None: not known.
        has_taken: whether a request was ever taken from it.
        drains: whether it ever had one with IOSQE_IO_DRAIN.
        leaves_fixed: whether the host kernel ever had one through a registered buffer: for
            how long it is in flight, nobody knows.
        kept: what is not registered any more, but may be in flight so.
    """

    entries: int
    flags: int
    head: int
    tail: int
    sq_flags: int
    array: int
    cq_head: int
    cq_tail: int
    cq_entries: int
    buffers: list[Registered | None] = field(default_factory=list)
    files: list[int | None] = field(default_factory=list)
    has_taken: bool = False
    drains: bool = False
    leaves_fixed: bool = False
    kept: list[Registered | None] = field(default_factory=list)

    @classmethod
    def of(cls, params: bytes) -> Ring:
        """What io_uring_setup filled in. C: struct io_uring_params."""
        entries, cq_entries, flags = struct.unpack_from("=3I", params)
        head, tail, _, _, sq_flags, _, array = struct.unpack_from("=7I", params, 40)
        cq_head, cq_tail = struct.unpack_from("=2I", params, 80)
        return cls(entries, flags, head, tail, sq_flags, array, cq_head, cq_tail, cq_entries)

    def forget_files(self, *, unknown: int = 0) -> None:
        """Close what stands for registered files; of so many nothing is known from now on."""
        files, self.files = self.files, [None] * unknown
        for own in files:
            if own is not None and own >= 0:
                os.close(own)

    def note(self, sqe: Sqe) -> None:
        """Remember what an entry does that is the host kernel's."""
        self.leaves_fixed = self.leaves_fixed or sqe.opcode in USE_BUFFERS
        if sqe.opcode in CHANGE_FILES and (sqe.file_index or sqe.opcode == FILES_UPDATE):
            self.forget_files(unknown=len(self.files))

    def file_at(self, index: int) -> int | None:
        """A descriptor of ours for a registered file, for who asks to close; None: not known.

        Raises:
            Fault: EBADF, there is none.
        """
        if not 0 <= index < len(self.files):
            raise Fault(errno.EBADF, 0, f"registered file {index}")
        own = self.files[index]
        if own is None:
            return None
        if own < 0:
            raise Fault(errno.EBADF, 0, f"registered file {index}")
        return os.dup(own)


class Queue:
    """A ring's submission queue, mapped for the moment."""

    def __init__(self, ring: Ring, own: int) -> None:
        self._ring = ring
        self._size = 128 if ring.flags & SETUP_SQE128 else 64
        ends = ring.head, ring.tail, ring.cq_head, ring.cq_tail, ring.array + 4 * ring.entries
        length = max(ends) + 4
        self._rings = mmap.mmap(own, length)
        self._sqes = mmap.mmap(own, ring.entries * self._size, offset=OFF_SQES)

    def close(self) -> None:
        """Unmap it."""
        self._sqes.close()
        self._rings.close()

    def _word(self, at: int) -> int:
        value: int = WORD.unpack_from(self._rings, at)[0]
        return value

    @property
    def head(self) -> int:
        """How many the kernel has taken, modulo 2**32."""
        return self._word(self._ring.head)

    @property
    def ready(self) -> int:
        """How many completions nobody has reaped."""
        return self._word(self._ring.cq_tail) - self._word(self._ring.cq_head) & 0xFFFF_FFFF

    def has_enough(self, least: int) -> bool:
        """Whether who waits for so many completions has nothing to enter the kernel for."""
        is_called = self._word(self._ring.sq_flags) & (SQ_CQ_OVERFLOW | SQ_TASKRUN)
        if is_called or self._ring.flags & SETUP_DEFER_TASKRUN:
            return False
        return self.ready >= min(least, self._ring.cq_entries)

    def pending(self, most: int) -> list[tuple[int, Sqe]]:
        """What a call that submits ``most`` would take: each entry, and its slot.

        It ends before a slot that does not exist: the kernel stops there, too.
        """
        ring, head = self._ring, self.head
        count = min(most, ring.entries, self._word(ring.tail) - head & 0xFFFF_FFFF)
        found = []
        for i in range(head, head + count):
            slot = i & ring.entries - 1
            if not ring.flags & SETUP_NO_SQARRAY:
                slot = self._word(ring.array + 4 * slot)
            if slot >= ring.entries:
                break
            found.append((slot, Sqe(*SQE.unpack_from(self._sqes, slot * self._size))))
        return found

    def bytes_at(self, slot: int) -> bytes:
        """An entry as it is."""
        return self._sqes[slot * self._size : slot * self._size + SQE.size]

    def put(self, slot: int, entry: bytes) -> None:
        """Have another one in that slot."""
        self._sqes[slot * self._size : slot * self._size + SQE.size] = entry
