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


class Tracer:
    """A thread that runs what it is asked to, one thing at a time."""

    def __init__(self, name: str = "uemu-tracer") -> None:
        self._requests: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._closed = False
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

    def call(self, fn: Callable[[], T]) -> T:
        """Run ``fn`` on the tracer thread and return what it returns.

        Raises:
            HostError: the machine is closed.
            Whatever ``fn`` raises.
        """
        if self._closed:
            raise HostError("use this machine", "it is closed", "Open another uemu.Machine.")
        if threading.current_thread() is self._thread:
            return fn()
        future: Future[T] = Future()
        self._requests.put((fn, future))
        return future.result()

    def close(self) -> None:
        """End the thread once it has done what it was asked; its tracees die with it."""
        if not self._closed:
            self._closed = True
            self._requests.put(None)
            if threading.current_thread() is not self._thread:
                self._thread.join()
