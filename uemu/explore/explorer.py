"""Explores a world and collects what it shows.

With reduction (`dpor`) at least one order of each kind is run, without it
(`dfs`) every order. The first run that showed a verdict is run once more to be
recorded in full: only then it is known what to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from uemu.errors import InvariantError
from uemu.explore.dfs import depth_first
from uemu.explore.dpor import Reduction
from uemu.explore.execution import MAX_STEPS, NONDETERMINISM, Run
from uemu.explore.replay import replay
from uemu.explore.result import Exploration, Trial
from uemu.explore.schedule import Schedule
from uemu.explore.world import WorldFactory

Progress = Callable[[int], None]

_PROGRESS_EVERY = 100


def explore(
    factory: WorldFactory,
    *,
    reduction: bool = True,
    max_schedules: int | None = None,
    max_steps: int = MAX_STEPS,
    stop_at_first: bool = False,
    wanted: str | Collection[str] | None = None,
    progress: Progress | None = None,
) -> Exploration:
    """Run a world in every order of steps, or in one of each kind.

    Args:
        reduction: whether one order of each kind is enough.
        max_schedules: how many executions at most, redundant ones included.
        max_steps: how long an execution may grow; a longer one is a ``livelock``,
            and the exploration is not exhaustive.
        stop_at_first: stop at the first verdict, or the first wanted one.
        wanted: stop when each of these verdicts was seen.
        progress: called now and then with the number of executions so far.

    Ctrl-C ends it like a bound: what there is so far is returned.

    Raises:
        ValueError: a bound that leaves nothing to run.
        InvariantError: ``nondeterminism``, two worlds of the factory differ.
        Fault: a task did not catch it; a mistake in the scenario.
    """
    for name, bound in (("max_schedules", max_schedules), ("max_steps", max_steps)):
        if bound is not None and bound < 1:
            raise ValueError(f"{name} is {bound}, and has to be 1 or more")
    wishes = {wanted} if isinstance(wanted, str) else set(wanted or ())
    found = Exploration()
    cut = False
    try:
        for trial in _trials(factory, reduction, max_steps):
            _count(found, trial)
            cut = cut or trial.is_cut
            for kind in sorted(trial.verdicts):
                if kind not in found.verdicts:
                    found.verdicts[kind] = _recorded(factory, trial, kind, max_steps)
            if progress is not None and found.executions % _PROGRESS_EVERY == 0:
                progress(found.executions)
            if _is_satisfied(found, stop_at_first, wishes):
                break
            if max_schedules is not None and found.executions >= max_schedules:
                break
        else:
            found.exhaustive = not cut
    except KeyboardInterrupt:
        found.interrupted = True
    return found


def _trials(factory: WorldFactory, reduction: bool, max_steps: int) -> Iterator[Trial]:
    if reduction:
        return Reduction(factory, max_steps=max_steps).runs()
    return depth_first(factory, max_steps=max_steps)


def _count(found: Exploration, trial: Trial) -> None:
    if trial.redundant:
        found.redundant += 1
    else:
        found.schedules += 1
    found.steps += len(trial.schedule)
    found.deepest = max(found.deepest, len(trial.schedule))


def _is_satisfied(found: Exploration, stop_at_first: bool, wishes: set[str]) -> bool:
    if not wishes:
        return stop_at_first and bool(found.verdicts)
    seen = wishes & found.verdicts.keys()
    return bool(seen) if stop_at_first else seen == wishes


def _recorded(factory: WorldFactory, trial: Trial, kind: str, max_steps: int) -> Run:
    run = replay(factory, trial.schedule, max_steps=max_steps)
    if kind not in run.verdicts:
        text = Schedule(trial.schedule)
        raise InvariantError(
            NONDETERMINISM, f"{text} showed {kind}, and {sorted(run.verdicts)} when repeated"
        )
    return run
