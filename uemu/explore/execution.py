"""One world, run once, step by step.

A task is primed when it appears: its op runs up to its first label, which by
rule R2 touches nothing that is shared. To take a step is to resume the op: it
performs the action behind its label and goes on to the next label, or ends.

An execution ends when no task can run (``deadlock`` if one is not through), at
the first `InvariantError` (its kind is the verdict), or when it grows longer
than ``max_steps`` (``livelock``). A `uemu.errors.Fault` that a task does not
catch is a mistake in the scenario and goes up to the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from uemu.errors import InvariantError
from uemu.explore.schedule import Schedule
from uemu.explore.world import Task, WorldFactory
from uemu.step import Access, CellNames, Op, Step

DEADLOCK = "deadlock"
LIVELOCK = "livelock"
NONDETERMINISM = "nondeterminism"

MAX_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step that was taken.

    Attributes:
        index: its number, from 0.
        task_index, task_name: who took it.
        step: its label, without its condition.
        state: the world right after it.
        reads, writes, counts: names of the cells it touched, as in `Access`.
    """

    index: int
    task_index: int
    task_name: str
    step: Step
    state: str
    reads: CellNames
    writes: CellNames
    counts: CellNames = frozenset()


@dataclass(frozen=True, slots=True)
class Run:
    """An execution with all there is to tell about it.

    Attributes:
        message: what the `InvariantError` that ended it said of its kind, or nothing.
    """

    schedule: Schedule
    records: tuple[StepRecord, ...]
    verdicts: frozenset[str]
    message: str = ""


Chooser = Callable[["Execution", Sequence[int]], int]
"""Picks the next task from the runnable ones, which are in ascending order."""


class Execution:
    """A world while it runs.

    Attributes:
        world: what runs.
        tasks: all tasks so far.
        pending: the label each task stands before; None when it is through.
        steps: how many steps were taken.
    """

    __slots__ = ("_ops", "_primed", "pending", "steps", "tasks", "world")

    def __init__(self, factory: WorldFactory) -> None:
        self.world = factory()
        self.tasks: Sequence[Task] = ()
        self.pending: list[Step | None] = []
        self.steps = 0
        self._ops: list[Op[Any]] = []
        self._primed: list[Access] = []
        self._prime(self.world.tasks())
        self.forget_accesses()

    def _prime(self, tasks: Sequence[Task]) -> None:
        while len(tasks) > len(self.pending):
            for task in tasks[len(self.pending) :]:
                self._ops.append(task.op)
                self.pending.append(next(task.op, None))
                self._primed.append(task.cpu.take_accesses())
            tasks = self.world.tasks()
        self.tasks = tasks

    def forget_accesses(self) -> None:
        """Drop what was noted so far: `take_accesses` then tells of the next step alone."""
        for task in self.tasks:
            task.cpu.take_accesses()
        self._primed.clear()

    def runnable(self) -> list[int]:
        """The tasks that can take a step now, in ascending order."""
        return [
            index
            for index, step in enumerate(self.pending)
            if step is not None and (step.enabled is None or step.enabled())
        ]

    def is_finished(self) -> bool:
        """Whether every task is through."""
        return not any(self.pending)

    def advance(self, index: int) -> None:
        """Take one step of a runnable task.

        Raises:
            InvariantError: the execution ends here.
        """
        self._step(index)
        self.world.check()

    def _step(self, index: int) -> None:
        self.steps += 1
        self.pending[index] = next(self._ops[index], None)
        tasks = self.world.tasks()
        if len(tasks) != len(self.pending):
            self._prime(tasks)

    def take_accesses(self, index: int) -> Access:
        """What the step just taken by a task touched; to be asked once.

        What a new task touched while it was primed counts as its creator's.
        """
        access = self.tasks[index].cpu.take_accesses()
        while self._primed:
            access |= self._primed.pop()
        return access

    def rewind(self, prefix: Iterable[int], runnable: Sequence[int]) -> None:
        """Take steps that another execution took already.

        The world was checked after each of them then, and is checked once now.

        Args:
            runnable: who could run after them then.

        Raises:
            InvariantError: ``nondeterminism``, now it is otherwise.
        """
        try:
            for index in prefix:
                self._step(index)
            self.world.check()
        except InvariantError as error:
            raise _nondeterminism(self.steps, f"ended in {error}") from error
        self.forget_accesses()
        now = self.runnable()
        if now != list(runnable):
            raise _nondeterminism(self.steps, f"tasks {now} can run, before it was {runnable}")

    def finish(self) -> frozenset[str]:
        """The verdicts, now that no task can run."""
        try:
            verdicts = self.world.finish()
        except InvariantError as error:
            return frozenset({error.kind})
        return verdicts if self.is_finished() else verdicts | {DEADLOCK}

    def run(self, choose: Chooser, max_steps: int = MAX_STEPS) -> Run:
        """Run to the end and record everything."""
        schedule: list[int] = []
        records: list[StepRecord] = []
        verdicts: frozenset[str] | None = None
        message = ""
        while verdicts is None:
            runnable = self.runnable()
            if not runnable:
                verdicts = self.finish()
            elif len(schedule) == max_steps:
                verdicts = frozenset({LIVELOCK})
            else:
                index = choose(self, runnable)
                label = self.pending[index]
                assert label is not None
                try:
                    self.advance(index)
                except InvariantError as error:
                    verdicts, message = frozenset({error.kind}), error.message
                schedule.append(index)
                records.append(self._record(index, label))
        return Run(Schedule(schedule), tuple(records), verdicts, message)

    def _record(self, index: int, label: Step) -> StepRecord:
        access = self.take_accesses(index)
        return StepRecord(
            self.steps - 1,
            index,
            self.tasks[index].name,
            Step(label.fn, label.what),
            self.world.state(),
            *access,
        )


def _nondeterminism(steps: int, what: str) -> InvariantError:
    message = f"the first {steps} steps were repeated and {what}"
    return InvariantError(NONDETERMINISM, message)
