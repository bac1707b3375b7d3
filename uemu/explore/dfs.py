"""Every order of steps, one after the other, depth first.

An execution cannot be copied in its middle. To try the next order, a new world
takes the steps that the two orders have in common, and goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from uemu.errors import InvariantError
from uemu.explore.execution import LIVELOCK, MAX_STEPS, Execution
from uemu.explore.result import Trial
from uemu.explore.world import WorldFactory

Order = Callable[[Sequence[int], Sequence[int]], Sequence[int]]
"""From the schedule so far and the runnable tasks: whom to try, in this order."""


def every(schedule: Sequence[int], runnable: Sequence[int]) -> Sequence[int]:
    """Try them all, the lowest first."""
    return runnable


def depth_first(
    factory: WorldFactory, *, order: Order = every, max_steps: int = MAX_STEPS
) -> Iterator[Trial]:
    """Run every schedule that ``order`` allows, each exactly once.

    An execution ends as ``redundant`` where ``order`` allows nobody.
    """
    schedule: list[int] = []
    choices: list[Sequence[int]] = []  # left to try at each step, the present one first
    runnables: list[list[int]] = []
    while True:
        execution = Execution(factory)
        if schedule:
            execution.rewind(schedule[:-1], runnables[-1])
        trial = None
        if schedule:
            trial = _take(execution, schedule)
        while trial is None:
            runnable = execution.runnable()
            if not runnable:
                trial = Trial(tuple(schedule), execution.finish())
            elif len(schedule) == max_steps:
                trial = Trial(tuple(schedule), frozenset({LIVELOCK}))
            else:
                allowed = order(schedule, runnable)
                if not allowed:
                    trial = Trial(tuple(schedule), frozenset(), redundant=True)
                else:
                    choices.append(allowed)
                    runnables.append(runnable)
                    schedule.append(allowed[0])
                    trial = _take(execution, schedule)
        yield trial
        while choices and len(choices[-1]) == 1:
            choices.pop()
            runnables.pop()
            schedule.pop()
        if not choices:
            return
        choices[-1] = choices[-1][1:]
        schedule[-1] = choices[-1][0]


def _take(execution: Execution, schedule: Sequence[int]) -> Trial | None:
    """Take the last step of a schedule; a trial if the execution ends there."""
    try:
        execution.advance(schedule[-1])
    except InvariantError as error:
        return Trial(tuple(schedule), frozenset({error.kind}))
    return None
