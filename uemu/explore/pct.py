"""A sampler with a promise: probabilistic concurrency testing.

Each task draws a priority, and whoever can run and has the highest one runs.
At ``depth - 1`` steps, drawn too, the task that would run falls below everybody.
A violation of depth d is one that d orders of two steps each are enough for: a
lost update is of depth 2. In a world of at most n tasks and k steps, one schedule
shows a given violation of depth d with a probability of at least 1/(n k^(d-1)).

After S. Burckhardt, P. Kothari, M. Musuvathi and S. Nagarakatte, "A randomized
scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010. There k is
known beforehand; here `measured` takes it from a number of schedules, and where
a later one is longer there is no promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from uemu.explore.execution import MAX_STEPS
from uemu.explore.randomly import Uniform
from uemu.explore.result import Tally
from uemu.explore.sampling import Pick, sample
from uemu.explore.world import WorldFactory

DEPTH = 3
PILOTS = 25


@dataclass(frozen=True, slots=True)
class Pct:
    """Runs whoever has the highest priority.

    Attributes:
        seed: the same one draws the same schedules.
        depth: of the violations it is made for, from 1 on.
        steps: how long a schedule grows, at most.
    """

    seed: int
    depth: int
    steps: int

    def begin(self, number: int) -> Pick:
        """Who picks the tasks of the schedule of that number."""
        random = Random(f"pct {self.seed} {number}")
        falls = [random.randrange(self.steps) for _ in range(self.depth - 1)]
        return _Priorities(random, falls).pick

    def odds(self, tally: Tally) -> int | None:
        """The n k^(d-1) of the promise; None if a schedule was longer than planned."""
        if tally.deepest > self.steps:
            return None
        return int(tally.tasks * self.steps ** (self.depth - 1))


class _Priorities:
    """One schedule: who is before whom, and when that changes."""

    def __init__(self, random: Random, falls: Sequence[int]) -> None:
        self._random = random
        self._falls = falls
        self._priorities: list[float] = []  # those drawn are from 0 to 1
        self._step = 0

    def pick(self, runnable: Sequence[int]) -> int:
        """Whoever is before the others, unless it falls here."""
        priorities = self._priorities
        while len(priorities) <= runnable[-1]:
            priorities.append(self._random.random())
        for place, step in enumerate(self._falls):
            if step == self._step:
                first = max(runnable, key=priorities.__getitem__)
                priorities[first] = place - len(self._falls)
        self._step += 1
        return max(runnable, key=priorities.__getitem__)


def measured(
    factory: WorldFactory, seed: int, depth: int = DEPTH, *, max_steps: int = MAX_STEPS
) -> Pct:
    """A sampler for a world whose longest schedule is taken from some that are run first."""
    if depth < 1:
        raise ValueError(f"depth is {depth}, and has to be 1 or more")
    pilots = Uniform(seed)
    runs = [sample(factory, pilots.begin(number), max_steps=max_steps) for number in range(PILOTS)]
    return Pct(seed, depth, max(1, *(len(run.schedule) for run in runs)))
