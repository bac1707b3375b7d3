"""What a submission queue entry asks for: which are ours, and what becomes of them.

Ours is direct I/O on memory that can be framed, and what reads or writes files
through a registered buffer. All else is the host kernel's, its errors too.

Not modelled: personalities, priorities but for whether there are such.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from uemu.abi import Direction
from uemu.errors import Fault
from uemu.live.program import aio_request
from uemu.live.program import uring_abi as abi
from uemu.live.program.direct import DirectIo
from uemu.live.program.outputs_rules import MAX_RW_COUNT, signed
from uemu.live.program.request import Buffers, Request, is_direct, is_within_limit
from uemu.live.program.tasks import Task
from uemu.live.program.uring_abi import Sqe
from uemu.live.program.uring_ring import Registered, Ring

Done = Callable[[int], None]

READS: Final = (abi.READ, abi.READV, abi.READ_FIXED)
VECTORED: Final = (abi.READV, abi.WRITEV)
PLAIN: Final = (abi.READ, abi.WRITE, *VECTORED)
FIXED: Final = (abi.READ_FIXED, abi.WRITE_FIXED)
RWF_KNOWN: Final = 0x1F


@dataclass(frozen=True, slots=True)
class Work:
    """A request that is ours.

    Attributes:
        begin: starts it, in a stopped task; is told whom to tell the result: a count or -errno.
        drop: gives back what it has, if it is not begun.
        whole: what it returns when nothing is amiss; None: anything that is no error.
    """

    sqe: Sqe
    begin: Callable[[Task, Done], None]
    drop: Callable[[], None]
    whole: int | None = None

    def is_failed(self, result: int) -> bool:
        """Whether what is linked to it is cancelled: a short read or write fails, too."""
        return result < 0 or (self.whole is not None and result != self.whole)


def nothing() -> None:
    """What most have to give back."""


def _at_once(result: int, task: Task, done: Done) -> None:
    done(result)


def over_at_once(sqe: Sqe, result: int) -> Work:
    """A request that has a result already."""
    return Work(sqe, partial(_at_once, result), nothing)


class Requests:
    """Tells which entries are ours."""

    def __init__(self, direct: DirectIo, note: Callable[[str], None]) -> None:
        self._direct = direct
        self._note = note

    def work_of(self, task: Task, ring: Ring, sqe: Sqe) -> Work | None:
        """What is ours in any case, or None.

        Whatever is amiss, the host kernel says.
        """
        work = None
        if sqe.opcode in (*PLAIN, *FIXED) and not sqe.rw_flags & ~RWF_KNOWN:
            with contextlib.suppress(Fault):
                if sqe.ioprio:
                    aio_request.check_priority(sqe.ioprio, 0)
                work = self._fixed(task, ring, sqe) if sqe.opcode in FIXED else self._plain(
                    task, ring, sqe
                )  # fmt: skip
        return work

    def linked_to_ours(self, task: Task, ring: Ring, sqe: Sqe) -> Work | None:
        """What else can be ours if a request that is ours is linked to it, or None."""
        if sqe.opcode == abi.NOP and not sqe.rw_flags:
            return over_at_once(sqe, 0)
        if sqe.opcode == abi.LINK_TIMEOUT:
            # What it is a timeout of comes in time.
            return over_at_once(sqe, -errno.ECANCELED)
        if sqe.opcode != abi.FSYNC or sqe.rw_flags & ~abi.FSYNC_DATASYNC:
            return None
        try:
            own = self._file(task, ring, sqe)
        except Fault as fault:
            return over_at_once(sqe, -fault.errno)
        return None if own is None else Work(sqe, partial(_synchronize, own, sqe), _closer(own))

    def _file(self, task: Task, ring: Ring, sqe: Sqe) -> int | None:
        """A descriptor of ours for an entry's file; None: nobody knows.

        Raises:
            Fault: EBADF.
        """
        if sqe.flags & abi.FIXED_FILE:
            return ring.file_at(sqe.fd)
        return aio_request.get_file(task, sqe.fd & 0xFFFF_FFFF)

    def _plain(self, task: Task, ring: Ring, sqe: Sqe) -> Work | None:
        own = self._file(task, ring, sqe)
        if own is None:
            self._note("io_uring: I/O on a registered file that io_uring itself opened runs under"
                       " the rules of this machine's kernel")  # fmt: skip
            return None
        if sqe.flags & abi.BUFFER_SELECT or sqe.personality:
            if is_direct(own):
                self._note("io_uring: direct I/O with IOSQE_BUFFER_SELECT or a personality runs"
                           " under the rules of this machine's kernel")  # fmt: skip
            os.close(own)
            return None
        direction, buffers = _direction(sqe), [(sqe.addr, min(sqe.len, MAX_RW_COUNT))]
        if sqe.opcode in VECTORED:
            buffers = self._direct.pieces(task, sqe.addr, sqe.len)
        buffers = [piece for piece in buffers if piece[1]]
        request = self._direct.request_on(
            task, own, direction, buffers, _offset(sqe, own), signed(sqe.rw_flags)
        )
        if request is None:
            return None
        return Work(sqe, partial(self._submit, request), _closer(request.fd), request.length)

    def _submit(self, request: Request, task: Task, done: Done) -> None:
        self._direct.submit(task, request, done, waits=False)

    def _fixed(self, task: Task, ring: Ring, sqe: Sqe) -> Work | None:
        buffer = ring.buffers[sqe.buf_index] if sqe.buf_index < len(ring.buffers) else None
        if buffer is None or sqe.flags & abi.BUFFER_SELECT or sqe.personality:
            return None
        start = sqe.addr - buffer.addr
        if start < 0 or start + sqe.len > buffer.length:
            return None
        own = self._file(task, ring, sqe)
        if own is None:
            return None
        pieces: Buffers = [(sqe.addr, sqe.len)]
        request = Request(own, _direction(sqe), pieces, _offset(sqe, own), signed(sqe.rw_flags))
        # Of a pipe or a socket the kernel reads by itself, into the same frames.
        if not _is_disk(own) or (
            sqe.opcode == abi.WRITE_FIXED and not is_within_limit(task.pid, request)
        ):
            os.close(own)
            return None
        begin = partial(self._submit_fixed, request, buffer, start)
        return Work(sqe, begin, _closer(own), request.length)

    def _submit_fixed(
        self, request: Request, buffer: Registered, start: int, task: Task, done: Done
    ) -> None:
        if not buffer.io.live:
            os.close(request.fd)
            done(-errno.EFAULT)
            return
        self._direct.submit_fixed(
            task, request, buffer.mm, buffer.io, start, done, over_fork=buffer.is_over_fork
        )


def _direction(sqe: Sqe) -> Direction:
    return Direction.FROM_DEVICE if sqe.opcode in READS else Direction.TO_DEVICE


def _offset(sqe: Sqe, own: int) -> int | None:
    if sqe.off != abi.CURRENT_POSITION:
        return sqe.off
    # What completes later leaves the position alone. Linux v6.18: io_uring/rw.c:kiocb_done.
    return os.lseek(own, 0, os.SEEK_CUR) if is_direct(own) else None


def _is_disk(own: int) -> bool:
    mode = os.fstat(own).st_mode
    return stat.S_ISREG(mode) or stat.S_ISBLK(mode)


def _closer(own: int) -> Callable[[], None]:
    return partial(os.close, own)


def _synchronize(own: int, sqe: Sqe, task: Task, done: Done) -> None:
    opcode = aio_request.FDSYNC if sqe.rw_flags & abi.FSYNC_DATASYNC else aio_request.FSYNC
    try:
        result = aio_request.synchronize(own, opcode)
    except Fault as fault:
        result = -fault.errno
    finally:
        os.close(own)
    done(result)
