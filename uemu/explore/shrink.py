"""The same verdict with the fewest context switches.

A race is easiest to see where every task runs on as long as it can. So we look
at all schedules without a preemption, then at those with one, two, three, and so
on, until the verdict shows: a preemption is a switch away from a task that could
have gone on. Of the schedules with that many preemptions we take the one with
the fewest switches, the shortest of those, the first of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from uemu.explore.dfs import depth_first
from uemu.explore.execution import MAX_STEPS, Run
from uemu.explore.replay import replay
from uemu.explore.world import WorldFactory

MAX_EXECUTIONS = 5_000


def count_switches(schedule: Sequence[int]) -> int:
    """How often another task goes on than the one before."""
    return sum(one != two for one, two in pairwise(schedule))


def shrink(
    factory: WorldFactory,
    run: Run,
    kind: str,
    *,
    max_executions: int = MAX_EXECUTIONS,
    max_steps: int = MAX_STEPS,
) -> Run:
    """A run that shows ``kind`` too, with as few context switches as can be found.

    Args:
        max_executions: how many to spend; when they are gone it is the best run so
            far, at worst the given one.

    Raises:
        ValueError: the given run does not show ``kind``.
    """
    if kind not in run.verdicts:
        raise ValueError(f"the run shows {sorted(run.verdicts)}, not {kind!r}")
    search = _Search(factory, run.schedule, kind, max_executions, max_steps)
    for preemptions in range(count_switches(run.schedule)):
        if search.look(preemptions):
            break
    if search.best == run.schedule:
        return run
    return replay(factory, search.best, max_steps=max_steps)


def _cost(schedule: Sequence[int]) -> tuple[int, int]:
    return count_switches(schedule), len(schedule)


class _Search:
    """Looks for a better schedule than the best so far."""

    def __init__(
        self,
        factory: WorldFactory,
        best: tuple[int, ...],
        kind: str,
        max_executions: int,
        max_steps: int,
    ) -> None:
        self.factory = factory
        self.best = best
        self.kind = kind
        self.left = max_executions
        self.max_steps = max_steps
        self._switches = count_switches(best)
        self._bound = 0
        # (switches, preemptions) up to each step, and whether its predecessor
        # could have gone on.
        self._so_far: list[tuple[int, int, bool]] = []

    def look(self, preemptions: int) -> bool:
        """Try every schedule with so many preemptions at most; whether to stop here."""
        self._bound = preemptions
        shown = False
        for trial in depth_first(self.factory, order=self._order, max_steps=self.max_steps):
            if self.kind in trial.verdicts:
                shown = True
                if _cost(trial.schedule) < _cost(self.best):
                    self.best = trial.schedule
                    self._switches = count_switches(self.best)
            self.left -= 1
            if self.left <= 0:
                return True
        return shown

    def _order(self, schedule: Sequence[int], runnable: Sequence[int]) -> Sequence[int]:
        """First the task that ran last, then the others if the bounds allow."""
        if not schedule:
            self._so_far = [(0, 0, False)]
            return runnable
        last = schedule[-1]
        can_go_on = last in runnable
        del self._so_far[len(schedule) :]
        switches, preemptions, could_go_on = self._so_far[-1]
        if len(schedule) > 1 and schedule[-2] != last:
            switches += 1
            preemptions += could_go_on
        self._so_far.append((switches, preemptions, can_go_on))
        may_switch = switches < self._switches and preemptions + can_go_on <= self._bound
        others = [task for task in runnable if task != last] if may_switch else []
        return [last, *others] if can_go_on else others
