"""IOCB_CMD_POLL of libaio: requests that wait until a file is ready, and move no bytes.

Not modelled: events that nobody asked for, of which who wakes a request may tell it, too.

Source: Linux v6.1, fs/aio.c:aio_poll, aio_poll_wake, aio_poll_cancel.
"""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Callable
from dataclasses import dataclass

from uemu.errors import Fault
from uemu.live.program.aio_request import Iocb
from uemu.live.program.aio_ring import Context


@dataclass(eq=False, slots=True)
class _Poll:
    """A request that waits.

    Attributes:
        where: its struct iocb.
        fd: a descriptor of our own: the file stays open for it, as in the kernel.
        events: POLL*.
        done: is called with those that hold.
    """

    context: Context
    where: int
    fd: int
    events: int
    done: Callable[[int], None]


class Polls:
    """Those of all contexts; they are looked at now and then."""

    def __init__(self) -> None:
        self._waiting: list[_Poll] = []

    @property
    def is_waiting(self) -> bool:
        """Whether there are any."""
        return bool(self._waiting)

    def begin(
        self, context: Context, where: int, iocb: Iocb, own: int, done: Callable[[int], None]
    ) -> None:
        """Take a request for a file.

        Raises:
            Fault: EINVAL, it is none, or the file is neither ready nor can be waited for.
        """
        if iocb.buf > 0xFFFF or iocb.offset or iocb.nbytes or iocb.rw_flags:
            raise Fault(errno.EINVAL, where)
        events = iocb.buf | select.POLLERR | select.POLLHUP
        mask = _ready(own, events)
        if mask:
            done(mask)
            return
        if not _can_poll(own):
            raise Fault(errno.EINVAL, where)
        self._waiting.append(_Poll(context, where, os.dup(own), events, done))

    def tick(self) -> None:
        """End those whose file is ready."""
        for poll in list(self._waiting):
            mask = _ready(poll.fd, poll.events)
            # Whom an end lets go on may have ended others.
            if mask and poll in self._waiting:
                self._end(poll, mask)

    def cancel(self, context: Context, where: int) -> bool:
        """End one for nothing; whether there is such a one."""
        for poll in self._waiting:
            if poll.context is context and poll.where == where:
                self._end(poll, 0)
                return True
        return False

    def end(self, context: Context) -> None:
        """The context is gone."""
        for poll in [poll for poll in self._waiting if poll.context is context]:
            self._end(poll, 0)

    def _end(self, poll: _Poll, mask: int) -> None:
        self._waiting.remove(poll)
        os.close(poll.fd)
        poll.done(mask)


def _ready(fd: int, events: int) -> int:
    """Which of the events hold, now."""
    poll = select.poll()
    poll.register(fd, events)
    return next((mask for _, mask in poll.poll(0)), 0)


def _can_poll(fd: int) -> bool:
    """Whether a file can be waited for: epoll(7) takes no other."""
    with select.epoll() as epoll:
        try:
            epoll.register(fd)
        except PermissionError:
            return False
    return True
