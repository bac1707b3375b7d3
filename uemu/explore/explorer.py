"""Explores a world and collects what it shows.

With reduction (`dpor`) at least one order of each kind is run, without it
(`dfs`) every order, with a bound (`preemptions`) every order within it, with a
sampler (`sampling`) as many as one likes. The first run that showed a verdict is
run once more to be recorded in full: only then it is known what to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from time import monotonic

from uemu.errors import InvariantError
from uemu.explore.dfs import DepthFirst
from uemu.explore.dpor import Reduction
from uemu.explore.execution import MAX_STEPS, NONDETERMINISM, Run
from uemu.explore.preemptions import AtMost
from uemu.explore.replay import replay
from uemu.explore.result import Exploration, Trial
from uemu.explore.sampling import Sampler, Samples
from uemu.explore.schedule import Schedule
from uemu.explore.search import Search, trials
from uemu.explore.share import Sharing, Workers
from uemu.explore.split import Halves, Splitter, Tree
from uemu.explore.world import WorldFactory

Progress = Callable[[int], None]

SAMPLES = 1_000
"""How many schedules a sampler draws unless it is told."""

_PROGRESS_EVERY = 100


def explore(
    factory: WorldFactory,
    *,
    reduction: bool = True,
    max_preemptions: int | None = None,
    sampler: Sampler | None = None,
    max_schedules: int | None = None,
    max_seconds: float | None = None,
    max_steps: int = MAX_STEPS,
    stop_at_first: bool = False,
    wanted: str | Collection[str] | None = None,
    twice: int = 0,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> Exploration:
    """Run a world in every order of steps, in one of each kind, or in some.

    Args:
        reduction: whether one order of each kind is enough; without meaning for
            what has a bound on preemptions, or a sampler.
        max_preemptions: how many preemptions a schedule may have.
        sampler: draws the schedules, `SAMPLES` unless there is a ``max_schedules``.
        max_schedules: how many executions at most, redundant ones included.
        max_seconds: how long it may take; what is under way then is still run to its end.
        max_steps: how long an execution may grow; a longer one is a ``livelock``,
            and the exploration is not exhaustive.
        stop_at_first: stop at the first verdict, or the first wanted one.
        wanted: stop when each of these verdicts was seen.
        twice: run every so manieth schedule two more times, and compare; 0 for none.
        workers: who takes over if it lasts; then the factory has to be pickled.
        progress: called now and then with the number of executions so far.

    Ctrl-C ends it like a bound: what there is so far is returned.

    Raises:
        ValueError: a bound that leaves nothing to run, or two things at once.
        InvariantError: ``nondeterminism``, two worlds of the factory differ.
        Fault: a task did not catch it; a mistake in the scenario.
        HostError: workers die again and again.
    """
    for name, bound in (("max_schedules", max_schedules), ("max_steps", max_steps)):
        if bound is not None and bound < 1:
            raise ValueError(f"{name} is {bound}, and has to be 1 or more")
    for name, number in (("max_preemptions", max_preemptions), ("twice", twice)):
        if number is not None and number < 0:
            raise ValueError(f"{name} is {number}, and has to be 0 or more")
    if max_seconds is not None and not max_seconds > 0:
        raise ValueError(f"max_seconds is {max_seconds}, and has to be more than 0")
    if sampler is not None and max_preemptions is not None:
        raise ValueError("a sampler draws its schedules: no bound on preemptions applies")
    search: Search
    splitter: Splitter = Halves()
    if sampler is not None:
        search = Samples(factory, sampler, max_schedules or SAMPLES, max_steps=max_steps)
        max_schedules = None  # it has as many as it should take
    elif max_preemptions is not None:
        search = DepthFirst(factory, order=AtMost(max_preemptions), max_steps=max_steps)
    elif reduction:
        search, splitter = Reduction(factory, max_steps=max_steps), Tree()
    else:
        search = DepthFirst(factory, max_steps=max_steps)
    wishes = frozenset({wanted} if isinstance(wanted, str) else wanted or ())
    end = None if max_seconds is None else monotonic() + max_seconds
    explorer = _Explorer(
        search, splitter, max_schedules, end, stop_at_first, wishes, twice, workers, progress
    )
    found = explorer.explore()
    found.exhaustive = (
        found.complete and not found.cut and sampler is None and max_preemptions is None
    )
    return found


@dataclass(slots=True)
class _Explorer:
    """An exploration while it goes on."""

    search: Search
    splitter: Splitter
    max_schedules: int | None
    end: float | None
    stop_at_first: bool
    wishes: frozenset[str]
    twice: int
    workers: Workers | None
    progress: Progress | None

    def explore(self) -> Exploration:
        found = Exploration()
        try:
            if self._alone(found) and self.workers is not None:
                self._together(found, self.workers)
        except KeyboardInterrupt:
            found.interrupted = True
        for kind, trial in found.shown.items():
            if kind not in found.verdicts:
                found.verdicts[kind] = self._recorded(trial, kind)
        return found

    def _alone(self, found: Exploration) -> bool:
        """Search in this process; whether the workers have to go on."""
        end = None if self.workers is None else monotonic() + self.workers.head_start_s
        for trial in trials(self.search, self.twice):
            found.add(trial)
            for kind in sorted(trial.verdicts):
                if kind not in found.verdicts:
                    found.verdicts[kind] = self._recorded(trial, kind)
            if self.progress is not None and found.executions % _PROGRESS_EVERY == 0:
                self.progress(found.executions)
            if not self._goes_on(found):
                return False
            if end is not None and monotonic() >= end:
                return True
        found.complete = True
        return False

    def _together(self, found: Exploration, workers: Workers) -> None:
        """Let workers search on."""
        alone = dict(found.verdicts)

        def goes_on() -> bool:
            if self.progress is not None:
                self.progress(found.executions)
            return self._goes_on(found)

        sharing = Sharing(
            self.search,
            self.splitter,
            workers,
            found,
            max_schedules=self.max_schedules,
            twice=self.twice,
        )
        try:
            found.complete = sharing.run(goes_on)
        finally:
            # What is first now may not be what was first then.
            for kind, run in alone.items():
                if found.shown[kind].schedule != run.schedule:
                    del found.verdicts[kind]

    def _goes_on(self, found: Exploration) -> bool:
        if self.max_schedules is not None and found.executions >= self.max_schedules:
            return False
        if self.end is not None and monotonic() >= self.end:
            return False
        if not self.wishes:
            return not (self.stop_at_first and found.shown)
        seen = self.wishes & found.shown.keys()
        return not seen if self.stop_at_first else seen != self.wishes

    def _recorded(self, trial: Trial, kind: str) -> Run:
        run = replay(self.search.factory, trial.schedule, max_steps=self.search.max_steps)
        if kind not in run.verdicts:
            text = Schedule(trial.schedule)
            raise InvariantError(
                NONDETERMINISM, f"{text} showed {kind}, and {sorted(run.verdicts)} when repeated"
            )
        return run
