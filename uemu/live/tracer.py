"""The one thread that traces.

ptrace(2) obeys the thread that attached, and a wait with __WNOTHREAD sees
only what that thread started: so a machine has one thread of its own, which
does all tracing and runs all kernel operations, and leaves the children of
the host program alone. Other threads ask it through `Tracer.call`.

Tracer and tracees share one CPU where the machine has several: a stop and go
is a switch between the two, and waking another CPU costs several times more.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from uemu.errors import HostError
from uemu.host import native

T = TypeVar("T")


def closed() -> HostError:
    """The error for who comes too late."""
    return HostError("use this machine", "it is closed", "Open another uemu.Machine.")


class Tracer:
    """A thread that runs what it is asked to, one thing at a time."""

    def __init__(self, name: str = "uemu-tracer") -> None:
        self._requests: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._closed = False
        self._door = threading.Lock()
        self._pid = os.getpid()
        self._thread.start()

    def _main(self) -> None:
        # Without the right to choose a CPU it is slower, not wrong.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {native.cpu()})
        while (request := self._requests.get()) is not None:
            fn, future = request
            try:
                future.set_result(fn())
            except BaseException as error:
                future.set_exception(error)
            # Keep no frame, and so no machine, alive while waiting.
            del request, fn, future

    @property
    def is_here(self) -> bool:
        """Whether this is the process that has the thread, and no fork of it."""
        return os.getpid() == self._pid

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def call(self, fn: Callable[[], T]) -> T:
        """Run ``fn`` on the tracer thread and return what it returns.

        Raises:
            HostError: the machine is closed, or this is a fork of its process.
            Whatever ``fn`` raises.
        """
        if self._closed:
            raise closed()
        if not self.is_here:
            raise HostError(
                "use this machine",
                f"it belongs to process {self._pid}, and this is a fork of it",
                "Open another uemu.Machine here.",
            )
        if threading.current_thread() is self._thread:
            return fn()
        future: Future[T] = Future()
        with self._door:
            if self._closed:
                raise closed()
            self._requests.put((fn, future))
        return future.result()

    def close(self) -> None:
        """End the thread once it has done what it was asked; its tracees die with it."""
        with self._door:
            was_open, self._closed = not self._closed, True
            if was_open:
                self._requests.put(None)
        if was_open and threading.current_thread() is not self._thread:
            self._thread.join()
