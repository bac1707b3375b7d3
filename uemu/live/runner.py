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

    def advance(self) -> None:
        """Run to the end, or to the first disabled step."""
        self._resume(lambda: next(self.op))

    def abandon(self, died: ProcessDied) -> None:
        """There is nobody left to go on with: give back what it holds, and no further."""
        self._resume(lambda: self.op.throw(died))

    def _resume(self, resume: Callable[[], Step]) -> None:
        self.step = None
        try:
            step = resume()
            while step.enabled is None or step.enabled():
                step = next(self.op)
            self.step = step
            return
        except StopIteration as stop:
            self._result = stop.value
        except Exception as error:
            self._error = error
        self.done = True

    def death(self) -> ProcessDied | None:
        """Why nobody is left to go on with, if so."""
        try:
            self._check_alive()
        except ProcessDied as died:
            return died
        return None

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
        if task.step is not None:
            self._parked.append(task)  # type: ignore[arg-type]
            self._report(task, task.step, done=False)
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
                progress |= self._look_at(task)

    def _look_at(self, task: Task[object]) -> bool:
        """Let a parked operation go on if it can; whether it did."""
        step, died = task.step, task.death()
        if died is not None:
            task.abandon(died)
        elif step is not None and step.is_enabled():
            task.advance()
        else:
            return False
        # Whoever dies does not go on: there is no wait to tell of that came to its end.
        if step is not None and not isinstance(task.error, ProcessDied):
            self._report(task, step, done=True)
        if task.step is None:
            self._parked.remove(task)
        else:
            self._report(task, task.step, done=False)
        return True

    def _report(self, task: Task[T], step: Step, *, done: bool) -> None:
        self._emit(Waited(task.cpu.name, task.mm, step.fn, step.what, done))
