"""Runs operations on a live machine: each to its end, or until it must wait.

An operation that stands before a disabled step is parked. After every
operation that ran, the parked ones are looked at again. When nothing can
run any more, whoever asked for a parked one is told what it waits for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from uemu.errors import ProcessDied
from uemu.events import MmId, Waited
from uemu.step import Cpu, Op, Step

T = TypeVar("T")


class Task(Generic[T]):
    """An operation under way.

    Attributes:
        label: the call it carries out, in words.
        done: whether it ended, with a result or an exception.
        step: the disabled step it stands before, while parked.
    """

    def __init__(
        self, label: str, cpu: Cpu, mm: MmId, op: Op[T], check_alive: Callable[[], None]
    ) -> None:
        self.label = label
        self.cpu = cpu
        self.mm = mm
        self.op = op
        self._check_alive = check_alive
        self.done = False
        self.step: Step | None = None
        self._result: T | None = None
        self._error: Exception | None = None

    def advance(self) -> bool:
        """Run to the end, or to the first disabled step; whether anything ran."""
        try:
            if self.step is not None:
                self._look()
                if not self.step.is_enabled():
                    return False
                self.step = None
            while True:
                step = next(self.op)
                if step.enabled is not None and not step.enabled():
                    self.step = step
                    return True
        except StopIteration as stop:
            self._result = stop.value
        except Exception as error:
            self._error = error
        self.step = None
        self.done = True
        return True

    def _look(self) -> None:
        """Raise ProcessDied if there is nobody left to go on with."""
        try:
            self._check_alive()
        except ProcessDied as died:
            # It goes no further, but gives back what it holds.
            self.op.throw(died)

    @property
    def error(self) -> Exception | None:
        """What it raised, if it did."""
        return self._error

    def result(self) -> T:
        """What it returned; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]


class Runner:
    """The operations of one machine that have not ended."""

    def __init__(self, emit: Callable[[Waited], None]) -> None:
        self._parked: list[Task[object]] = []
        self._emit = emit

    def start(
        self, label: str, cpu: Cpu, mm: MmId, op: Op[T], check_alive: Callable[[], None]
    ) -> Task[T]:
        """Run an operation as far as it goes, then whatever it made possible.

        Args:
            check_alive: raises ProcessDied when there is nobody to go on with.
        """
        task = Task(label, cpu, mm, op, check_alive)
        task.advance()
        if not task.done:
            self._parked.append(task)  # type: ignore[arg-type]
            self._report(task, done=False)
        self.wake()
        return task

    @property
    def is_waiting(self) -> bool:
        """Whether some operation is parked."""
        return bool(self._parked)

    def parked_on(self, cpu: Cpu) -> Task[object] | None:
        """The operation a thread is in and cannot go on with, if any."""
        return next((task for task in self._parked if task.cpu is cpu), None)

    def wake(self) -> None:
        """Look at the parked operations again, until none can go on."""
        progress = True
        while progress and self._parked:
            progress = False
            for task in list(self._parked):
                if task.advance():
                    progress = True
                    if task.done:
                        self._parked.remove(task)
                        if not isinstance(task.error, ProcessDied):
                            self._report(task, done=True)

    def _report(self, task: Task[T], *, done: bool) -> None:
        step = task.step
        fn, what = (step.fn, step.what) if step is not None else (task.label, "went on")
        self._emit(Waited(task.cpu.name, task.mm, fn, what, done))
