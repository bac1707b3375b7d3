"""Linked requests that are ours: one after the other, until one fails.

Source: io_uring_enter(2), IOSQE_IO_LINK; Linux v6.18, io_uring/io_uring.c:io_fail_links.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from uemu.live.program import uring_abi as abi
from uemu.live.program.tasks import ProgramMm, Task
from uemu.live.program.uring_abi import Sqe
from uemu.live.program.uring_request import Work

Post = Callable[[Sqe, int], None]


class Chain:
    """A chain under way; a single request is one, too.

    Args:
        post: tells the program of a result.
        ready: is called when the next one is to begin, since the one before has ended.

    Attributes:
        mm: whose requests they are.
    """

    def __init__(
        self, mm: ProgramMm, works: list[Work], post: Post, ready: Callable[[Chain], None]
    ) -> None:
        self.mm = mm
        self._works = works
        self._post = post
        self._ready = ready
        self._is_waiting = self._is_beginning = False

    def go_on(self, task: Task) -> None:
        """Begin what comes next, in a stopped task, until something takes its time.

        Raises:
            TaskGone: it died; the rest is dropped.
        """
        self._is_beginning = True
        try:
            while self._works and not self._is_waiting:
                self._is_waiting = True
                self._works[0].begin(task, self._done)
        except BaseException:
            del self._works[:1]
            self.drop()
            raise
        finally:
            self._is_beginning = False

    def drop(self) -> None:
        """Nobody is told of what has not begun."""
        works, self._works = self._works, []
        for work in works:
            work.drop()

    def _done(self, result: int) -> None:
        if not self._is_waiting:
            return
        self._is_waiting = False
        if not self._works:
            return
        work = self._works.pop(0)
        failed = work.is_failed(result)
        is_silent = bool(work.sqe.flags & abi.CQE_SKIP_SUCCESS)
        if failed or not is_silent:
            self._post(work.sqe, result)
        if failed and not work.sqe.flags & abi.HARDLINK:
            self._cancel(is_silent=is_silent)
        elif self._works and not self._is_beginning:
            self._ready(self)

    def _cancel(self, *, is_silent: bool) -> None:
        """Who said that it need not be told of success is told of one failure only."""
        works, self._works = self._works, []
        for work in works:
            work.drop()
            if not is_silent:
                self._post(work.sqe, -errno.ECANCELED)
