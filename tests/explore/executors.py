"""Executors that run in this process, one slice after the other: nothing is left to chance."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any, TypeVar

from uemu.explore import Workers

T = TypeVar("T")


class Inline(Executor):
    """Runs each call when it is submitted, on copies, as another process would."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(_copy(fn(*_copy(args), **kwargs)))
        except Exception as error:
            future.set_exception(_copy(error))
        return future


class OnTheSpot(Executor):
    """The same without copies, for worlds that tell the test something."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Mortal(Inline):
    """One whose worker dies at certain calls: it is broken from then on.

    Attributes:
        calls: how many calls there were, in all executors that share the list.
        fatal: the numbers of those that kill, from 1.
    """

    def __init__(self, calls: list[int], fatal: Callable[[int], bool]) -> None:
        self.calls = calls
        self.fatal = fatal
        self.broken = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        if self.broken:
            raise BrokenExecutor("broken before")
        self.calls.append(1)
        future: Future[T] = Future()
        if self.fatal(len(self.calls)):
            self.broken = True
            super().submit(fn, *args, **kwargs)  # the work is done and lost
            future.set_exception(BrokenExecutor("a worker died"))
            return future
        return super().submit(fn, *args, **kwargs)


def workers(
    start: Callable[[], Executor] = Inline,
    *,
    number: int = 3,
    slice_executions: int = 1,
    head_start_s: float = 0,
) -> Workers:
    """Workers that report after every execution, so that all is split that can be."""
    return Workers(
        start,
        number,
        head_start_s=head_start_s,
        slice_executions=slice_executions,
        slice_s=60,
    )


def _copy(value: T) -> T:
    copied: T = pickle.loads(pickle.dumps(value))
    return copied
