"""libaio: io_setup, io_submit, io_getevents, io_pgetevents, io_cancel, io_destroy.

Requests that are no direct I/O are made by the task itself when it submits
them, and are over then: errors, signals and limits are the host kernel's.

aio_request  one request
aio_poll     requests that only wait for a file
aio_ring     where events are
aio_wait     waiting for them

Not modelled: a write to a pipe without room for all of it
    is short; who changes a struct iocb while its submission waits for a pipe.

Source: io_submit(2), linux/aio_abi.h; Linux v6.1, fs/aio.c.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from uemu import abi
from uemu.abi import PAGE_SIZE, SYS_MMAP, SYS_MUNMAP, Direction
from uemu.errors import Fault
from uemu.host import procfs
from uemu.host.tracee import Stop
from uemu.live.area import Slot
from uemu.live.program import aio_request as requests
from uemu.live.program.aio_poll import Polls
from uemu.live.program.aio_ring import EVENT, Context, Ring, most_requests, pages_for
from uemu.live.program.aio_wait import Waiters, signed_long
from uemu.live.program.direct import DirectIo
from uemu.live.program.framing import NO_FD, RW, Framing
from uemu.live.program.outputs_rules import signed
from uemu.live.program.request import Buffers
from uemu.live.program.schedule import Schedule
from uemu.live.program.tasks import Task
from uemu.live.program.tracees import GONE, Tracees
from uemu.live.program.user import copy_from_user, copy_to_user, may_access

RWF_NOWAIT: Final = 8
RWF_KNOWN: Final = 0x1F
SHARED_ANONYMOUS: Final = 0x21
CURRENT_POSITION: Final = (1 << 64) - 1

Done = Callable[[int], None]


class _WouldBlock(Exception):
    """A request has to wait for its file."""


@dataclass(eq=False, slots=True)
class _Submission:
    """An io_submit that waits: how far it is."""

    task: Task
    context: Context
    iocbs: int
    count: int
    taken: int = 0


class Aio:
    """The contexts of all programs."""

    def __init__(
        self,
        tracees: Tracees,
        framing: Framing,
        schedule: Schedule,
        direct: DirectIo,
        slot: Slot,
    ) -> None:
        self._tracees = tracees
        self._framing = framing
        self._schedule = schedule
        self._direct = direct
        self._slot = slot
        self._polls = Polls()
        self._waiters = Waiters(tracees, framing)
        self._contexts: dict[tuple[int, int], Context] = {}
        self._blocked: list[_Submission] = []

    def _find(self, task: Task, stop: Stop) -> Context | None:
        context = self._contexts.get((task.mm.mm.id, stop.args[0]))
        # The kernel looks into the ring for it. Linux: aio.c:lookup_ioctx.
        return context if context is not None and context.ring.is_there() else None

    # Contexts --------------------------------------------------------------------------------

    def setup(self, task: Task, stop: Stop) -> None:
        """io_setup(2)."""
        try:
            result = self._setup(task, stop.args[0] & 0xFFFF_FFFF, stop.args[1])
        except Fault as fault:
            result = -fault.errno
        self._tracees.return_from_call(task, result)

    def _setup(self, task: Task, nr_events: int, where: int) -> int:
        if copy_from_user(task.mm, where, 8) != bytes(8) or nr_events == 0:
            return -errno.EINVAL
        nr_pages = pages_for(nr_events)
        if nr_pages is None:
            return -errno.EINVAL
        if nr_events > most_requests():
            return -errno.EAGAIN
        if not may_access(task.mm, where, 8, write=True):
            return -errno.EFAULT
        mapping = (SYS_MMAP, 0, nr_pages * PAGE_SIZE, RW, SHARED_ANONYMOUS, NO_FD, 0)
        (at,) = self._tracees.inject(task, [mapping])
        if -4095 <= at < 0:
            return at
        mm = task.mm.mm.id
        number = sum(key[0] == mm for key in self._contexts)
        self._contexts[mm, at] = Context(Ring(task.mm.memory, at, nr_pages, number))
        copy_to_user(self._framing, task, where, at.to_bytes(8, "little"))
        return 0

    def destroy(self, task: Task, stop: Stop) -> None:
        """io_destroy(2): it waits for what is in flight."""
        context = self._find(task, stop)
        if context is None:
            self._tracees.return_from_call(task, -errno.EINVAL)
            return
        del self._contexts[task.mm.mm.id, stop.args[0]]
        self._polls.end(context)
        if context.in_flight:
            self._schedule.drain(task.mm)
        self._waiters.end(context)
        size = context.ring.nr_pages * PAGE_SIZE
        self._tracees.inject(task, [(SYS_MUNMAP, stop.args[0], size, 0, 0, 0, 0)])
        self._tracees.return_from_call(task, 0)

    def cancel(self, task: Task, stop: Stop) -> None:
        """io_cancel(2): only what waits for a file can be. Linux: aio.c:SYSCALL io_cancel."""
        result, where = -errno.EINVAL, stop.args[1]
        try:
            key = copy_from_user(task.mm, where + requests.AIO_KEY_AT, 4)
        except Fault as fault:
            result = -fault.errno
        else:
            context = self._find(task, stop)
            if not any(key) and context is not None and self._polls.cancel(context, where):
                result = -errno.EINPROGRESS
        self._tracees.return_from_call(task, result)

    # Requests --------------------------------------------------------------------------------

    def submit(self, task: Task, stop: Stop) -> None:
        """io_submit(2): how many were taken, or the error of the first."""
        context, count = self._find(task, stop), signed_long(stop.args[1])
        if context is None or count < 0:
            self._tracees.return_from_call(task, -errno.EINVAL)
            return
        most = min(count, context.ring.size)
        self._go_on(_Submission(task, context, stop.args[2], most))

    def _go_on(self, submission: _Submission, *, interrupted: bool = False) -> None:
        """Submit what is left.

        Args:
            interrupted: what would wait fails with EINTR.
        """
        task, error = submission.task, 0
        while submission.taken < submission.count:
            pointer = submission.iocbs + 8 * submission.taken
            try:
                self._submit_one(task, submission.context, pointer, interrupted=interrupted)
            except Fault as fault:
                error = fault.errno
                break
            except _WouldBlock:
                task.parked = True
                self._blocked.append(submission)
                return
            submission.taken += 1
        task.parked = False
        self._tracees.return_from_call(task, submission.taken or -error)

    def _submit_one(self, task: Task, context: Context, pointer: int, *, interrupted: bool) -> None:
        """Linux: aio.c:io_submit_one, __io_submit_one.

        Raises:
            Fault: it is not taken.
            _WouldBlock: not yet.
        """
        where = int.from_bytes(copy_from_user(task.mm, pointer, 8), "little")
        words = requests.IOCB.unpack(copy_from_user(task.mm, where, requests.IOCB.size))
        data, _, rw_flags, opcode, prio, fd, buf, nbytes, offset, reserved, flags, resfd = words
        if reserved or nbytes >= 1 << 63:
            raise Fault(errno.EINVAL, where)
        if not context.has_room():
            raise Fault(errno.EAGAIN, where)
        own = requests.get_file(task, fd)
        eventfd = -1
        is_over = False

        def over() -> int:
            # Once: a transfer is in flight also if its task died as it began.
            nonlocal eventfd, is_over
            if not is_over:
                is_over = True
                context.in_flight -= 1
            fd, eventfd = eventfd, -1
            return fd

        def done(result: int) -> None:
            fd = over()
            # A ring that the program unmapped is its own affair.
            with contextlib.suppress(OSError):
                context.ring.push(EVENT.pack(data, where, result, 0))
            if fd >= 0:
                requests.signal(fd)
            self._waiters.wake(context)

        context.in_flight += 1
        try:
            if flags & requests.RESFD:
                eventfd = requests.get_eventfd(task, resfd)
            copy_to_user(self._framing, task, where + requests.AIO_KEY_AT, bytes(4))
            if flags & requests.IOPRIO:
                requests.check_priority(prio, where)
            iocb = requests.Iocb(opcode, fd, buf, nbytes, offset, signed(rw_flags))
            if opcode == requests.POLL:
                self._polls.begin(context, where, iocb, own, done)
            else:
                self._begin(task, iocb, own, done, interrupted=interrupted)
        except BaseException:
            fd = over()
            if fd >= 0:
                os.close(fd)
            raise
        finally:
            os.close(own)

    def _begin(
        self, task: Task, iocb: requests.Iocb, own: int, done: Done, *, interrupted: bool
    ) -> None:
        if iocb.opcode in (requests.FSYNC, requests.FDSYNC):
            if iocb.buf or iocb.nbytes or iocb.offset or iocb.rw_flags:
                raise Fault(errno.EINVAL, iocb.buf)
            done(requests.synchronize(own, iocb.opcode))
            return
        buffers = requests.check(task, iocb, own)
        if not iocb.rw_flags & ~RWF_KNOWN:
            direction = Direction.FROM_DEVICE if iocb.is_read else Direction.TO_DEVICE
            request = self._direct.make_request(
                task, iocb.fd, direction, buffers, iocb.offset, iocb.rw_flags
            )
            if request is not None:
                self._direct.submit(task, request, done, waits=False)
                return
        result = self._plain(task, iocb, own, buffers)
        if result == -errno.EOPNOTSUPP:
            raise Fault(errno.EOPNOTSUPP, iocb.buf)
        if result == -errno.EAGAIN and not fcntl.fcntl(own, fcntl.F_GETFL) & os.O_NONBLOCK:
            if not iocb.rw_flags & RWF_NOWAIT and not interrupted:
                raise _WouldBlock
            result = -errno.EAGAIN if iocb.rw_flags & RWF_NOWAIT else -errno.EINTR
        done(result)

    def _plain(self, task: Task, iocb: requests.Iocb, own: int, buffers: Buffers) -> int:
        """Let the task make a request that no device has to do with; what came of it.

        Returns:
            A count or -errno; -EAGAIN if it would have to wait for a pipe, a socket ...
        """
        if iocb.is_read:
            self._framing.break_cow(task, buffers)
        iov, count = iocb.buf, iocb.nbytes
        if iocb.opcode not in requests.VECTORED:
            self._slot.put(struct.pack("=QQ", iocb.buf, iocb.nbytes))
            iov, count = self._slot.buffer, 1
        offset, flags = iocb.offset, iocb.rw_flags
        if requests.is_stream(own):
            waits = not fcntl.fcntl(own, fcntl.F_GETFL) & os.O_NONBLOCK
            offset, flags = CURRENT_POSITION, flags | (RWF_NOWAIT if waits else 0)
        nr = abi.SYS_PREADV2 if iocb.is_read else abi.SYS_PWRITEV2
        call = (nr, iocb.fd, iov, count, offset, 0, flags & 0xFFFF_FFFF)
        (result,) = self._tracees.inject(task, [call])
        if result == -errno.EOPNOTSUPP and flags != iocb.rw_flags:
            # It cannot be asked not to wait: is there something?
            if not requests.is_ready(own, select.POLLIN if iocb.is_read else select.POLLOUT):
                return -errno.EAGAIN
            (result,) = self._tracees.inject(task, [(*call[:6], iocb.rw_flags & 0xFFFF_FFFF)])
        return result

    # Events and time -------------------------------------------------------------------------

    def getevents(self, task: Task, stop: Stop) -> None:
        """io_getevents(2), io_pgetevents(2)."""
        self._waiters.getevents(task, stop, self._find(task, stop))

    @property
    def is_waiting(self) -> bool:
        """Whether anybody waits, for events or in a submission."""
        waits = any(context.waiting for context in self._contexts.values())
        return bool(self._blocked) or waits or self._polls.is_waiting

    def tick(self) -> None:
        """Let those go on whose time is over, or whom a signal interrupts."""
        self._polls.tick()
        for context in list(self._contexts.values()):
            self._waiters.tick(context)
        blocked, self._blocked = self._blocked, []
        for submission in blocked:
            task = submission.task
            if self._tracees.tasks.get(task.tid) is task:
                # Of who died, the end is reported.
                with contextlib.suppress(*GONE):
                    self._go_on(submission, interrupted=procfs.signal_waits(task.tid))

    def mm_gone(self, mm: int) -> None:
        """An address space ended, and its contexts with it."""
        for key in [key for key in self._contexts if key[0] == mm]:
            self._polls.end(self._contexts.pop(key))
