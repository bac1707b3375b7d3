"""libaio: io_setup, io_submit, io_getevents, io_pgetevents, io_cancel, io_destroy.

A context is a page of zeros in the program: libaio looks for its ring of
events there, finds no magic number, and makes the system call. Requests that
are no direct I/O are over when they are submitted.

Not modelled: IOCB_CMD_POLL (EINVAL); the signal mask of io_pgetevents.

Source: io_submit(2), linux/aio_abi.h; Linux fs/aio.c.
"""

from __future__ import annotations

import errno
import os
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from uemu.abi import PAGE_SIZE, SYS_MMAP, SYS_MUNMAP, Direction
from uemu.host import procfs, tracee
from uemu.host.tracee import Stop
from uemu.live.program.direct import DirectIo
from uemu.live.program.framing import NO_FD, RW, Framing
from uemu.live.program.request import Buffers
from uemu.live.program.schedule import Schedule
from uemu.live.program.tasks import Task
from uemu.live.program.tracees import TaskGone, Tracees

IOCB = struct.Struct("=QIIHhIQQqQII")
EVENT = struct.Struct("=QQqq")
PREAD, PWRITE, FSYNC, FDSYNC, PREADV, PWRITEV = 0, 1, 2, 3, 7, 8
RESFD: Final = 1
PRIVATE_ANONYMOUS: Final = 0x22
MOST_EVENTS: Final = 0x10000000 // 32


@dataclass(eq=False, slots=True)
class _Waiting:
    task: Task
    least: int
    most: int
    events: int
    deadline: float | None


@dataclass(eq=False, slots=True)
class _Context:
    """What io_setup makes.

    Attributes:
        room: how many requests there may be, in flight or not yet collected.
        in_flight: how many have not ended.
        events: those that have: struct io_event each.
        waiting: who waits in io_getevents.
    """

    room: int
    in_flight: int = 0
    events: deque[bytes] = field(default_factory=deque)
    waiting: list[_Waiting] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Iocb:
    data: int
    flags: int
    opcode: int
    fd: int
    buf: int
    nbytes: int
    offset: int
    resfd: int | None


class Aio:
    """The contexts of all programs."""

    def __init__(
        self, tracees: Tracees, framing: Framing, schedule: Schedule, direct: DirectIo
    ) -> None:
        self._tracees = tracees
        self._framing = framing
        self._schedule = schedule
        self._direct = direct
        self._contexts: dict[tuple[int, int], _Context] = {}

    def _find(self, task: Task, stop: Stop) -> _Context | None:
        return self._contexts.get((task.mm.mm.id, stop.args[0]))

    # Contexts --------------------------------------------------------------------------------

    def setup(self, task: Task, stop: Stop) -> None:
        """io_setup(2)."""
        nr_events, where = stop.args[0] & 0xFFFF_FFFF, stop.args[1]
        result = self._setup(task, nr_events, where)
        self._tracees.return_from_call(task, result)

    def _setup(self, task: Task, nr_events: int, where: int) -> int:
        try:
            if task.mm.memory.read(where, 8) != bytes(8) or nr_events == 0:
                return -errno.EINVAL
        except OSError:
            return -errno.EFAULT
        if nr_events > MOST_EVENTS:
            return -errno.EINVAL
        mapping = (SYS_MMAP, 0, PAGE_SIZE, RW, PRIVATE_ANONYMOUS, NO_FD, 0)
        (page,) = self._tracees.inject(task, [mapping])
        if -4095 <= page < 0:
            return page
        self._write(task, where, page.to_bytes(8, "little"))
        # The kernel rounds up, too: programs rely on more than they asked for.
        self._contexts[task.mm.mm.id, page] = _Context(max(nr_events, 4) * 4)
        return 0

    def destroy(self, task: Task, stop: Stop) -> None:
        """io_destroy(2): it waits for what is in flight."""
        context = self._contexts.pop((task.mm.mm.id, stop.args[0]), None)
        if context is None:
            self._tracees.return_from_call(task, -errno.EINVAL)
            return
        if context.in_flight:
            self._schedule.drain(task.mm)
        for waiting in context.waiting:
            self._release(waiting, -errno.EINVAL)
        self._tracees.inject(task, [(SYS_MUNMAP, stop.args[0], PAGE_SIZE, 0, 0, 0, 0)])
        self._tracees.return_from_call(task, 0)

    def cancel(self, task: Task, stop: Stop) -> None:
        """io_cancel(2): requests on files cannot be cancelled. Linux: aio.c:SYSCALL io_cancel."""
        self._tracees.return_from_call(task, -errno.EINVAL)

    # Requests --------------------------------------------------------------------------------

    def submit(self, task: Task, stop: Stop) -> None:
        """io_submit(2): how many were taken, or the error of the first."""
        context = self._find(task, stop)
        count = stop.args[1] - (1 << 64) if stop.args[1] >= 1 << 63 else stop.args[1]
        if context is None or count < 0:
            self._tracees.return_from_call(task, -errno.EINVAL)
            return
        taken, result = 0, 0
        while taken < count:
            result = self._submit_one(task, context, stop.args[2] + 8 * taken)
            if result < 0:
                break
            taken += 1
        self._tracees.return_from_call(task, taken or result)

    def _submit_one(self, task: Task, context: _Context, pointer: int) -> int:
        memory = task.mm.memory
        try:
            (where,) = struct.unpack("=Q", memory.read(pointer, 8))
            words = IOCB.unpack(memory.read(where, IOCB.size))
        except (OSError, struct.error):
            return -errno.EFAULT
        data, _, rw_flags, opcode, _, fd, buf, nbytes, offset, reserved, flags, resfd = words
        if reserved or nbytes >= 1 << 63:
            return -errno.EINVAL
        if context.in_flight + len(context.events) >= context.room:
            return -errno.EAGAIN
        iocb = _Iocb(
            data, rw_flags, opcode, fd, buf, nbytes, offset, resfd if flags & RESFD else None
        )
        eventfd = -1
        if iocb.resfd is not None:
            eventfd = tracee.getfd(task.pid, iocb.resfd, task.tid)
            if eventfd < 0:
                return -errno.EBADF

        def done(result: int) -> None:
            context.in_flight -= 1
            context.events.append(EVENT.pack(data, where, result, 0))
            if eventfd >= 0:
                os.write(eventfd, (1).to_bytes(8, "little"))
                os.close(eventfd)
            self._wake(context)

        context.in_flight += 1
        error = self._begin(task, iocb, done)
        if error:
            context.in_flight -= 1
            if eventfd >= 0:
                os.close(eventfd)
        return error

    def _begin(self, task: Task, iocb: _Iocb, done: Callable[[int], None]) -> int:
        """Start a request; an error is the submission's."""
        own = tracee.getfd(task.pid, iocb.fd, task.tid)
        if own < 0:
            return -errno.EBADF
        try:
            if iocb.opcode in (FSYNC, FDSYNC):
                done(_result(lambda: _sync(own, iocb.opcode)))
                return 0
            if iocb.opcode not in (PREAD, PWRITE, PREADV, PWRITEV):
                return -errno.EINVAL
            buffers = self._buffers(task, iocb)
            if buffers is None:
                return -errno.EFAULT
            is_read = iocb.opcode in (PREAD, PREADV)
            direction = Direction.FROM_DEVICE if is_read else Direction.TO_DEVICE
            request = self._direct.make_request(
                task, iocb.fd, direction, buffers, iocb.offset, iocb.flags
            )
            if request is not None:
                self._direct.submit(task, request, done, waits=False)
                return 0
            done(_result(lambda: self._plain(task, own, iocb, buffers, is_read=is_read)))
            return 0
        finally:
            os.close(own)

    def _buffers(self, task: Task, iocb: _Iocb) -> Buffers | None:
        if iocb.opcode in (PREAD, PWRITE):
            return [(iocb.buf, iocb.nbytes)] if iocb.nbytes else []
        try:
            data = task.mm.memory.read(iocb.buf, 16 * min(iocb.nbytes, 1024))
            return [piece for piece in struct.iter_unpack("=QQ", data) if piece[1]]
        except (OSError, struct.error):
            return None

    def _plain(self, task: Task, fd: int, iocb: _Iocb, buffers: Buffers, *, is_read: bool) -> int:
        """A request that no device has to do with: through memory of ours, at once."""
        if not is_read:
            pieces = [task.mm.memory.read(addr, length) for addr, length in buffers]
            return os.pwritev(fd, pieces, iocb.offset, iocb.flags)
        room = [bytearray(length) for _, length in buffers]
        count = left = os.preadv(fd, room, iocb.offset, iocb.flags)
        for (addr, length), piece in zip(buffers, room, strict=True):
            if left > 0:
                self._write(task, addr, bytes(piece[: min(left, length)]))
            left -= length
        return count

    def _write(self, task: Task, addr: int, data: bytes) -> None:
        """Store into user memory as the kernel does."""
        self._framing.break_cow(task, [(addr, len(data))])
        task.mm.memory.write(addr, data)

    # Events ----------------------------------------------------------------------------------

    def getevents(self, task: Task, stop: Stop) -> None:
        """io_getevents(2), io_pgetevents(2)."""
        context = self._find(task, stop)
        least, most = (_signed(word) for word in stop.args[1:3])
        if context is None or least < 0 or most < least:
            self._tracees.return_from_call(task, -errno.EINVAL)
            return
        deadline = None
        if stop.args[4]:
            try:
                seconds, nanos = struct.unpack("=qq", task.mm.memory.read(stop.args[4], 16))
            except (OSError, struct.error):
                self._tracees.return_from_call(task, -errno.EFAULT)
                return
            deadline = monotonic() + seconds + nanos / 1e9
        waiting = _Waiting(task, least, most, stop.args[3], deadline)
        task.parked = True
        context.waiting.append(waiting)
        self._look(context, waiting)

    def _wake(self, context: _Context) -> None:
        for waiting in list(context.waiting):
            self._look(context, waiting)

    def _look(self, context: _Context, waiting: _Waiting) -> None:
        late = waiting.deadline is not None and waiting.deadline <= monotonic()
        if len(context.events) < waiting.least and not late:
            return
        context.waiting.remove(waiting)
        count = min(len(context.events), waiting.most)
        data = b"".join(context.events.popleft() for _ in range(count))
        try:
            if data:
                self._write(waiting.task, waiting.events, data)
        except OSError:
            count = -errno.EFAULT
        except TaskGone:
            return
        self._release(waiting, count)

    def _release(self, waiting: _Waiting, result: int) -> None:
        task = waiting.task
        if self._tracees.tasks.get(task.tid) is task:
            task.parked = False
            self._tracees.return_from_call(task, result)

    # Time ------------------------------------------------------------------------------------

    @property
    def is_waiting(self) -> bool:
        """Whether anybody waits for events."""
        return any(context.waiting for context in self._contexts.values())

    def tick(self) -> None:
        """Let those go on whose time is over, or whom a signal interrupts."""
        for context in self._contexts.values():
            for waiting in list(context.waiting):
                if self._tracees.tasks.get(waiting.task.tid) is not waiting.task:
                    context.waiting.remove(waiting)
                elif procfs.signal_waits(waiting.task.tid):
                    context.waiting.remove(waiting)
                    self._release(waiting, -errno.EINTR)
                else:
                    self._look(context, waiting)

    def mm_gone(self, mm: int) -> None:
        """An address space ended, and its contexts with it."""
        for key in [key for key in self._contexts if key[0] == mm]:
            del self._contexts[key]


def _signed(word: int) -> int:
    return word - (1 << 64) if word >= 1 << 63 else word


def _sync(fd: int, opcode: int) -> int:
    os.fsync(fd) if opcode == FSYNC else os.fdatasync(fd)
    return 0


def _result(action: Callable[[], int]) -> int:
    try:
        return action()
    except OSError as error:
        return -(error.errno or errno.EIO)
