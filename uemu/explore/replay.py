"""The run that a schedule stands for, and a guard against worlds that differ."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from uemu.errors import InvariantError
from uemu.explore.execution import MAX_STEPS, NONDETERMINISM, Execution, Run
from uemu.explore.result import Trial
from uemu.explore.schedule import DIGITS, Schedule, ScheduleError
from uemu.explore.world import WorldFactory


def replay(factory: WorldFactory, schedule: Sequence[int], *, max_steps: int = MAX_STEPS) -> Run:
    """Follow a schedule; where it ends, go on with the lowest task that can run.

    Raises:
        ScheduleError: the schedule names a task that cannot run there.
    """
    execution = Execution(factory)

    def choose(execution: Execution, runnable: Sequence[int]) -> int:
        position = execution.steps
        if position >= len(schedule):
            return runnable[0]
        if schedule[position] not in runnable:
            raise _cannot_run(execution, schedule[position], runnable)
        return schedule[position]

    run = execution.run(choose, max_steps)
    if len(schedule) > len(run.schedule) and not execution.runnable():
        raise _cannot_run(execution, schedule[len(run.schedule)], ())
    return run


def _cannot_run(execution: Execution, task: int, runnable: Sequence[int]) -> ScheduleError:
    def describe(index: int) -> str:
        return f"{DIGITS[index]} ({execution.tasks[index].name})"

    who = "there is none"
    if task < len(execution.tasks):
        step = execution.pending[task]
        name = execution.tasks[task].name
        who = f"{name}, {'through' if step is None else 'waits in ' + step.fn}"
    return ScheduleError(execution.steps, task, who, tuple(describe(index) for index in runnable))


def check_deterministic(
    factory: WorldFactory, schedule: Sequence[int], *, max_steps: int = MAX_STEPS
) -> Run:
    """Run a schedule twice and compare step by step; what it did.

    Raises:
        InvariantError: ``nondeterminism``, with the first step that differs.
    """
    text = Schedule(schedule)
    first = replay(factory, schedule, max_steps=max_steps)
    try:
        second = replay(factory, schedule, max_steps=max_steps)
    except ScheduleError as error:
        raise InvariantError(NONDETERMINISM, f"{text} was run twice, then {error}") from error
    if first == second:
        return first
    for index, (one, two) in enumerate(zip_longest(first.records, second.records)):
        if one != two:
            what = f"step {index} was {one}, then {two}"
            break
    else:
        what = f"the verdicts were {sorted(first.verdicts)}, then {sorted(second.verdicts)}"
    raise InvariantError(NONDETERMINISM, f"{text} was run twice and {what}")


def check_again(factory: WorldFactory, trial: Trial, *, max_steps: int = MAX_STEPS) -> None:
    """Run an execution two more times and compare, with each other and with it.

    Raises:
        InvariantError: ``nondeterminism``.
    """
    text = Schedule(trial.schedule)
    try:
        run = check_deterministic(factory, trial.schedule, max_steps=max_steps)
    except ScheduleError as error:
        raise InvariantError(NONDETERMINISM, f"{text} was run, then {error}") from error
    # What was given up went no further than its schedule.
    if not trial.redundant and (run.schedule, run.verdicts) != (trial.schedule, trial.verdicts):
        raise InvariantError(
            NONDETERMINISM,
            f"{text} showed {sorted(trial.verdicts)}, then {run.schedule}: {sorted(run.verdicts)}",
        )
