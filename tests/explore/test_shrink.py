"""Shrinking: fewer switches, the same verdict, and never worse than before."""

from __future__ import annotations

import pytest

from tests.explore.toys import (
    TOYS,
    hidden_behind_error,
    message_flag_first,
    philosophers,
    racy_counter,
    toy,
)
from uemu.explore import count_switches, explore, replay, shrink


@pytest.mark.parametrize(
    ("schedule", "switches"), [((), 0), ((0,), 0), ((0, 0, 1), 1), ((0, 1, 0, 2), 3)]
)
def test_counts_switches(schedule: tuple[int, ...], switches: int) -> None:
    assert count_switches(schedule) == switches


def test_a_lost_update_needs_one_preemption() -> None:
    # load | load, store | store. Three switches become two.
    run = replay(toy(racy_counter), (0, 1, 0, 1))
    small = shrink(toy(racy_counter), run, "lost-update")
    assert str(small.schedule) == "uemu1:0110"
    assert small.verdicts == {"lost-update"}


def test_who_has_no_part_in_it_runs_alone() -> None:
    run = replay(toy(racy_counter, 4), (0, 1, 2, 3, 0, 1, 2, 3))
    small = shrink(toy(racy_counter, 4), run, "lost-update")
    # Two run alone, then one preemption: four tasks cannot do with fewer switches.
    assert str(small.schedule) == "uemu1:00112332"
    assert count_switches(small.schedule) == 4


def test_an_error_that_ends_the_run_sooner() -> None:
    run = replay(toy(hidden_behind_error), (0, 1, 0))
    assert str(shrink(toy(hidden_behind_error), run, "certain").schedule) == "uemu1:00"


def test_what_cannot_shrink_is_given_back() -> None:
    run = replay(toy(philosophers), (1, 0))
    assert run.verdicts == {"deadlock"}
    assert shrink(toy(philosophers), run, "deadlock") is run
    run = replay(toy(message_flag_first), (0, 1, 1, 0))
    assert shrink(toy(message_flag_first), run, "stale-read") is run


def test_gives_up_when_executions_are_spent() -> None:
    run = replay(toy(racy_counter, 4), (0, 1, 2, 3, 0, 1, 2, 3))
    assert shrink(toy(racy_counter, 4), run, "lost-update", max_executions=1) is run


def test_refuses_a_verdict_the_run_does_not_show() -> None:
    run = replay(toy(racy_counter), (0, 1, 0, 1))
    with pytest.raises(ValueError, match=r"shows \['lost-update'\], not 'deadlock'"):
        shrink(toy(racy_counter), run, "deadlock")


@pytest.mark.parametrize("name", TOYS)
def test_never_worse_and_the_same_verdict(name: str) -> None:
    for kind, run in explore(TOYS[name]).verdicts.items():
        small = shrink(TOYS[name], run, kind)
        assert kind in small.verdicts
        assert count_switches(small.schedule) <= count_switches(run.schedule)
        assert shrink(TOYS[name], run, kind) == small
