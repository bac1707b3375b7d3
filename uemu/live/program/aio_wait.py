"""Waiting for the events of libaio: io_getevents, io_pgetevents.

Not modelled: the signal mask of io_pgetevents, which is only checked.

Source: Linux v6.1, fs/aio.c:read_events, aio_read_events_ring.
"""

from __future__ import annotations

import contextlib
import errno
import struct
from time import monotonic

from uemu.abi import SYS_IO_PGETEVENTS
from uemu.errors import Fault
from uemu.host import procfs
from uemu.host.tracee import Stop
from uemu.live.program.aio_ring import EVENT, Context, Waiting
from uemu.live.program.framing import Framing
from uemu.live.program.tasks import Task
from uemu.live.program.tracees import TaskGone, Tracees
from uemu.live.program.user import copy_from_user, copy_to_user


def signed_long(word: int) -> int:
    """A register as a long."""
    return word - (1 << 64) if word >= 1 << 63 else word


class Waiters:
    """Who waits for events, and what makes them go on."""

    def __init__(self, tracees: Tracees, framing: Framing) -> None:
        self._tracees = tracees
        self._framing = framing

    def getevents(self, task: Task, stop: Stop, context: Context | None) -> None:
        """io_getevents(2), io_pgetevents(2)."""
        try:
            deadline = self._deadline(task, stop.args[4])
            if stop.nr == SYS_IO_PGETEVENTS and stop.args[5]:
                self._check_mask(task, stop.args[5])
        except Fault as fault:
            self._tracees.return_from_call(task, -fault.errno)
            return
        least, most = (signed_long(word) for word in stop.args[1:3])
        if context is None or least < 0 or most < least:
            self._tracees.return_from_call(task, -errno.EINVAL)
            return
        waiting = Waiting(task, least, most, stop.args[3], deadline)
        task.parked = True
        context.waiting.append(waiting)
        self.look(context, waiting)

    def _deadline(self, task: Task, timeout: int) -> float | None:
        if not timeout:
            return None
        seconds, nanos = struct.unpack("=qq", copy_from_user(task.mm, timeout, 16))
        return monotonic() + float(seconds + nanos / 1e9)

    def _check_mask(self, task: Task, addr: int) -> None:
        mask, size = struct.unpack("=QQ", copy_from_user(task.mm, addr, 16))
        if mask and size != 8:
            raise Fault(errno.EINVAL, addr, "a signal set")
        if mask:
            copy_from_user(task.mm, mask, 8)

    def wake(self, context: Context) -> None:
        """There is one more event."""
        for waiting in list(context.waiting):
            if waiting in context.waiting:
                self.look(context, waiting)

    def look(self, context: Context, waiting: Waiting) -> None:
        """Give somebody what there is; who has enough, or waited long enough, goes on."""
        try:
            self._give(context, waiting)
        except (Fault, OSError):
            self._release(context, waiting, waiting.given or -errno.EFAULT)
            return
        except TaskGone:
            context.waiting.remove(waiting)
            return
        late = waiting.deadline is not None and waiting.deadline <= monotonic()
        if waiting.given >= waiting.least or late:
            self._release(context, waiting, waiting.given)

    def _give(self, context: Context, waiting: Waiting) -> None:
        """Store events. They are collected only if they could be stored."""
        data = context.ring.first(waiting.most - waiting.given)
        if data:
            where = waiting.events + EVENT.size * waiting.given
            copy_to_user(self._framing, waiting.task, where, data)
            count = len(data) // EVENT.size
            context.ring.drop(count)
            waiting.given += count

    def _release(self, context: Context, waiting: Waiting, result: int) -> None:
        context.waiting.remove(waiting)
        task = waiting.task
        if self._tracees.tasks.get(task.tid) is task:
            task.parked = False
            self._tracees.return_from_call(task, result)

    def end(self, context: Context) -> None:
        """The context is gone."""
        for waiting in list(context.waiting):
            self._release(context, waiting, waiting.given or -errno.EINVAL)

    def tick(self, context: Context) -> None:
        """Let those go on whose time is over, or whom a signal interrupts."""
        for waiting in list(context.waiting):
            if self._tracees.tasks.get(waiting.task.tid) is not waiting.task:
                context.waiting.remove(waiting)
            elif procfs.signal_waits(waiting.task.tid):
                with contextlib.suppress(TaskGone):
                    self._release(context, waiting, waiting.given or -errno.EINTR)
            else:
                self.look(context, waiting)
