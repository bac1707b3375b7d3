"""A bound on preemptions: exactly the schedules within it, and no claim beyond."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.explore.toys import (
    TOYS,
    explore_ends,
    message_flag_first,
    philosophers,
    racy_counter,
    toy,
)
from uemu.explore import Execution, WorldFactory, explore
from uemu.explore.dfs import depth_first
from uemu.explore.preemptions import AtMost

SCHEDULES = {
    # Orders of the tasks; one task in two parts around the other: 2; and all.
    "racy counter": (2, 4, 6, 6),
    # 3!; one task (3) left for another (2), the third before, within, or after (3);
    # each can be left once: with three preemptions it is all 90.
    "racy counter of three": (6, 6 + 18, 60, 90),
    # Who has the lock runs on alone. To leave it for one that waits for it cannot be.
    "locked counter": (2, 2, 2, 2),
    # One first, the other first; into the deadlock, which costs one: who waits is
    # left for nothing.
    "philosophers": (2, 4, 4, 4),
    # To wait is free: the one schedule there is has one switch.
    "message awaited": (1, 1, 1, 1),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_number_of_schedules(name: str) -> None:
    found = [explore(TOYS[name], max_preemptions=bound).schedules for bound in range(4)]
    assert tuple(found) == SCHEDULES[name]


def preemptions(factory: WorldFactory, schedule: Sequence[int]) -> int:
    """Counted without the search: switches away from a task that could have gone on."""
    execution = Execution(factory)
    count = 0
    last = None
    for task in schedule:
        count += last is not None and last != task and last in execution.runnable()
        if task != schedule[-1] or execution.steps < len(schedule) - 1:
            execution.advance(task)
        last = task
    return count


@pytest.mark.parametrize("name", TOYS)
@pytest.mark.parametrize("bound", range(4))
def test_every_schedule_within_the_bound_and_no_other(name: str, bound: int) -> None:
    factory = TOYS[name]
    every = {trial.schedule for trial in depth_first(factory)}
    within = {each for each in every if preemptions(factory, each) <= bound}
    found = [trial.schedule for trial in depth_first(factory, order=AtMost(bound))]
    assert len(found) == len(within)
    assert set(found) == within


def test_lists_who_runs_on_first() -> None:
    found = [trial.schedule for trial in depth_first(toy(racy_counter), order=AtMost(1))]
    assert found == [(0, 0, 1, 1), (0, 1, 1, 0), (1, 1, 0, 0), (1, 0, 0, 1)]


@pytest.mark.parametrize(
    ("fill", "verdict", "needs"),
    [(racy_counter, "lost-update", 1), (philosophers, "deadlock", 1),
     (message_flag_first, "stale-read", 1)],
)  # fmt: skip
def test_a_verdict_needs_its_preemptions(fill: object, verdict: str, needs: int) -> None:
    assert callable(fill)
    for bound in range(needs + 2):
        found = explore(toy(fill), max_preemptions=bound)
        assert (verdict in found.verdicts) is (bound >= needs)


def test_all_there_is_within_the_bound_is_no_proof() -> None:
    found = explore(toy(racy_counter), max_preemptions=9)
    assert (found.schedules, found.complete, found.exhaustive) == (6, True, False)


def test_cut_short_it_is_not_even_all_within_the_bound() -> None:
    found = explore(toy(racy_counter), max_preemptions=1, max_schedules=3)
    assert (found.schedules, found.complete, found.exhaustive) == (3, False, False)


def test_a_negative_bound_is_wrong_use() -> None:
    with pytest.raises(ValueError, match="max_preemptions is -1, and has to be 0 or more"):
        explore(toy(racy_counter), max_preemptions=-1)


@pytest.mark.parametrize("name", TOYS)
def test_a_bound_nobody_reaches_finds_what_every_order_finds(name: str) -> None:
    every, _ = explore_ends(TOYS[name], reduction=False)
    found = explore(TOYS[name], max_preemptions=100)
    assert found.schedules == every.schedules
    assert set(found.verdicts) == set(every.verdicts)
