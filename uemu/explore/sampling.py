"""Schedules drawn at random, as many as one likes.

What a sampler finds is found; what it does not find may be there. Each schedule
is drawn from the seed and its own number alone, so that it is the same whoever
runs it, and however many there are. The samplers are `randomly` and `pct`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from uemu.errors import InvariantError
from uemu.explore.execution import LIVELOCK, MAX_STEPS, Execution
from uemu.explore.result import Trial
from uemu.explore.world import WorldFactory

Pick = Callable[[Sequence[int]], int]
"""Picks the next task from the runnable ones; asked once for each step, in turn."""


class Sampler(Protocol):
    """Draws schedules; data that can be pickled."""

    def begin(self, number: int) -> Pick:
        """Who picks the tasks of the schedule of that number."""
        ...


def sample(factory: WorldFactory, pick: Pick, *, max_steps: int = MAX_STEPS) -> Trial:
    """Run one schedule."""
    execution = Execution(factory)
    schedule: list[int] = []
    while True:
        runnable = execution.runnable()
        if not runnable:
            return Trial(tuple(schedule), execution.finish())
        if len(schedule) == max_steps:
            return Trial(tuple(schedule), frozenset({LIVELOCK}))
        schedule.append(pick(runnable))
        try:
            execution.advance(schedule[-1])
        except InvariantError as error:
            return Trial(tuple(schedule), frozenset({error.kind}))


class Samples:
    """Runs the schedules that a sampler draws for a range of numbers.

    Attributes:
        first, end: the numbers left, from ``first`` on, without ``end``.
    """

    def __init__(
        self,
        factory: WorldFactory,
        sampler: Sampler,
        end: int,
        *,
        first: int = 0,
        max_steps: int = MAX_STEPS,
    ) -> None:
        self.factory = factory
        self.sampler = sampler
        self.first = first
        self.end = end
        self.max_steps = max_steps
        self.executions = 0

    def next(self) -> Trial | None:
        """Run the next schedule; None if none is left."""
        if self.first >= self.end:
            return None
        self.first += 1
        pick = self.sampler.begin(self.first - 1)
        return sample(self.factory, pick, max_steps=self.max_steps)

    def split(self) -> Samples | None:
        """Give away the second half of what is left."""
        if self.end - self.first < 2:
            return None
        middle = (self.first + self.end) // 2
        other = Samples(
            self.factory, self.sampler, self.end, first=middle, max_steps=self.max_steps
        )
        other.executions = self.executions
        self.end = middle
        return other
