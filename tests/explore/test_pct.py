"""PCT keeps its promise: a violation of depth d, at least so often."""

from __future__ import annotations

import pytest

from tests.explore.toys import (
    endless,
    locked_counter,
    message_flag_first,
    patience,
    philosophers,
    racy_counter,
    toy,
)
from uemu.explore import Pct, explore, measured
from uemu.explore.pct import PILOTS
from uemu.explore.sampling import sample


@pytest.mark.parametrize(
    ("fill", "verdict", "depth"),
    [
        # One load before the other's store, that one's load before the first's store.
        (racy_counter, "lost-update", 2),
        # Each takes its first fork before the other takes its second.
        (philosophers, "deadlock", 2),
        # The flag before it is read, the box read before it is filled.
        (message_flag_first, "stale-read", 2),
    ],
)
def test_shows_a_violation_at_least_as_often_as_promised(
    fill: object, verdict: str, depth: int
) -> None:
    assert callable(fill)
    factory = toy(fill)
    sampler = measured(factory, 0, depth)
    trials = [sample(factory, sampler.begin(number)) for number in range(400)]
    shown = sum(verdict in trial.verdicts for trial in trials)
    odds = sampler.odds(explore(factory, sampler=sampler, max_schedules=400))
    assert odds is not None
    # n k^(d-1): two tasks, four steps, six where they take forks.
    assert odds == {"lost-update": 8, "deadlock": 12, "stale-read": 8}[verdict]
    assert shown >= 400 / odds


@pytest.mark.parametrize("fill", [racy_counter, philosophers, message_flag_first])
def test_without_a_change_of_priority_nobody_is_interrupted(fill: object) -> None:
    # The control: depth 1 is too little for each of the above.
    assert callable(fill)
    assert explore(toy(fill), sampler=Pct(0, depth=1, steps=6)).verdicts == {}


def test_lets_one_task_stand_still_as_long_as_needed() -> None:
    # What the uniform sampler finds once in a million: of depth 1, so 1/2 here.
    factory = toy(patience, 20)
    trials = [sample(factory, Pct(0, 1, 21).begin(number)) for number in range(400)]
    shown = sum("overtaken" in trial.verdicts for trial in trials)
    assert 160 < shown < 240


def test_finds_nothing_where_nothing_is() -> None:
    assert explore(toy(locked_counter, 3), sampler=Pct(0, 3, 9)).verdicts == {}


def test_the_length_is_measured() -> None:
    assert measured(toy(racy_counter, 3), 5, 2) == Pct(5, 2, 6)
    assert PILOTS > 1


def test_no_odds_where_a_schedule_was_longer_than_planned() -> None:
    sampler = Pct(0, depth=2, steps=3)
    assert sampler.odds(explore(toy(racy_counter), sampler=sampler)) is None
    assert Pct(0, 2, 4).odds(explore(toy(racy_counter), sampler=sampler)) == 8


def test_measures_no_further_than_allowed() -> None:
    assert measured(toy(endless), 0, 2, max_steps=7).steps == 7


def test_refuses_a_depth_of_nothing() -> None:
    with pytest.raises(ValueError, match="depth is 0, and has to be 1 or more"):
        measured(toy(racy_counter), 0, 0)
