"""Every order of steps, one after the other, depth first.

An execution cannot be copied in its middle. To try the next order, a new world
takes the steps that the two orders have in common, and goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy

from uemu.errors import InvariantError
from uemu.explore.execution import LIVELOCK, MAX_STEPS, Execution
from uemu.explore.result import Trial
from uemu.explore.world import WorldFactory

Order = Callable[[Sequence[int], Sequence[int]], Sequence[int]]
"""From the schedule so far and the runnable tasks: whom to try, in this order."""


def every(schedule: Sequence[int], runnable: Sequence[int]) -> Sequence[int]:
    """Try them all, the lowest first."""
    return runnable


class DepthFirst:
    """Runs every schedule that ``order`` allows, each exactly once.

    An execution ends as ``redundant`` where ``order`` allows nobody.

    Attributes:
        schedule: the execution at hand, up to the step that is taken next.
        choices: left to try at each of its steps, the present one first.
        runnables: who could run there.
    """

    def __init__(
        self, factory: WorldFactory, *, order: Order = every, max_steps: int = MAX_STEPS
    ) -> None:
        self.factory = factory
        self.order = order
        self.max_steps = max_steps
        self.executions = 0
        self.schedule: list[int] = []
        self.choices: list[Sequence[int]] = []
        self.runnables: list[list[int]] = []
        self._begun = False

    def next(self) -> Trial | None:
        """Run the next schedule; None if none is left."""
        if self._begun and not self._turn():
            return None
        self._begun = True
        return self._execute()

    def split(self) -> DepthFirst | None:
        """Give away what is left at the first step where anything is."""
        depth = next((d for d, left in enumerate(self.choices) if len(left) > 1), None)
        if depth is None:
            return None
        choices = self.choices[depth]
        # An order may remember what it was asked: each search has one of its own.
        other = DepthFirst(self.factory, order=deepcopy(self.order), max_steps=self.max_steps)
        other.executions = self.executions
        other.schedule = [*self.schedule[:depth], choices[1]]
        other.choices = [*self.choices[:depth], choices[1:]]
        other.runnables = self.runnables[: depth + 1]
        self.choices[depth] = choices[:1]
        return other

    def _turn(self) -> bool:
        """Go back to the last step where somebody is left to be tried."""
        schedule, choices = self.schedule, self.choices
        while choices and len(choices[-1]) == 1:
            choices.pop()
            self.runnables.pop()
            schedule.pop()
        if not choices:
            return False
        choices[-1] = choices[-1][1:]
        schedule[-1] = choices[-1][0]
        return True

    def _execute(self) -> Trial:
        schedule = self.schedule
        execution = Execution(self.factory)
        trial = None
        if schedule:
            execution.rewind(schedule[:-1], self.runnables[-1])
            trial = _take(execution, schedule)
        while trial is None:
            runnable = execution.runnable()
            if not runnable:
                trial = Trial(tuple(schedule), execution.finish())
            elif len(schedule) == self.max_steps:
                trial = Trial(tuple(schedule), frozenset({LIVELOCK}))
            else:
                allowed = self.order(schedule, runnable)
                if not allowed:
                    trial = Trial(tuple(schedule), frozenset(), redundant=True)
                else:
                    self.choices.append(allowed)
                    self.runnables.append(runnable)
                    schedule.append(allowed[0])
                    trial = _take(execution, schedule)
        return trial


def depth_first(
    factory: WorldFactory, *, order: Order = every, max_steps: int = MAX_STEPS
) -> Iterator[Trial]:
    """Run every schedule that ``order`` allows, each exactly once."""
    search = DepthFirst(factory, order=order, max_steps=max_steps)
    while (trial := search.next()) is not None:
        yield trial


def _take(execution: Execution, schedule: Sequence[int]) -> Trial | None:
    """Take the last step of a schedule; a trial if the execution ends there."""
    try:
        execution.advance(schedule[-1])
    except InvariantError as error:
        return Trial(tuple(schedule), frozenset({error.kind}))
    return None
