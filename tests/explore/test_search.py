"""Slices: what a worker runs before it reports, and what it checks on the way."""

from __future__ import annotations

import pytest

from tests.explore.toys import (
    Toy,
    hidden_behind_error,
    philosophers,
    racy_counter,
    toy,
)
from uemu.errors import InvariantError
from uemu.explore import Uniform, WorldFactory, explore
from uemu.explore.dfs import DepthFirst
from uemu.explore.search import Slice, work


def test_a_slice_ends_after_so_many_executions_and_the_next_goes_on() -> None:
    search = DepthFirst(toy(racy_counter))
    first = work(search, Slice(4, 60))
    assert (first.tally.schedules, first.finished) == (4, False)
    second = work(first.search, Slice(4, 60))
    assert (second.tally.schedules, second.finished) == (2, True)
    assert (second.tally.steps, second.tally.deepest, second.tally.tasks) == (8, 4, 2)
    assert work(second.search, Slice(4, 60)).tally.executions == 0


def test_a_slice_ends_when_its_time_is_over() -> None:
    report = work(DepthFirst(toy(racy_counter)), Slice(100, 0))
    assert (report.tally.schedules, report.finished) == (1, False)


def test_the_first_execution_that_shows_a_verdict_is_kept() -> None:
    report = work(DepthFirst(toy(racy_counter)), Slice(100, 60))
    assert report.tally.shown["lost-update"].schedule == (0, 1, 0, 1)


# The same schedule, run again


def changing(at: int) -> WorldFactory:
    """A factory whose world of that number, and each after it, has another cell."""
    made = [0]

    def fill(world: Toy) -> None:
        made[0] += 1
        racy_counter(world)
        if made[0] >= at:
            world.cell("made", made[0])

    return toy(fill)


def test_every_schedule_is_run_twice_and_does_the_same() -> None:
    made = [0]

    def fill(world: Toy) -> None:
        made[0] += 1
        racy_counter(world)

    assert explore(toy(fill), reduction=False, twice=1).exhaustive
    # Six, twice more each, and the one that showed the verdict for the record.
    assert made[0] == 6 + 2 * 6 + 1
    made[0] = 0
    assert explore(toy(fill), reduction=False, twice=4).exhaustive
    assert made[0] == 6 + 2 * 1 + 1


def test_a_world_that_differs_is_found_by_running_twice() -> None:
    with pytest.raises(InvariantError, match="nondeterminism: uemu1:0011 was run twice and step 0"):
        explore(changing(3), reduction=False, twice=1)
    # The control: no verdict, no cell that matters is different, nobody notices.
    assert explore(changing(3), reduction=False).exhaustive


def test_it_is_looked_for_at_every_so_manieth_schedule() -> None:
    # The worlds: 0011, 0101 and its record, 0110; then 0110 two more times.
    with pytest.raises(InvariantError, match="nondeterminism: uemu1:0110 was run twice"):
        explore(changing(6), reduction=False, twice=3)
    # The control: there is no seventh schedule.
    assert explore(changing(6), reduction=False, twice=7).exhaustive


@pytest.mark.parametrize("sampler", [None, Uniform(0)])
def test_a_verdict_that_comes_and_goes_is_found(sampler: Uniform | None) -> None:
    made = [0]

    def fill(world: Toy) -> None:
        made[0] += 1
        racy_counter(world)
        verdicts = frozenset({"odd"} if made[0] > 1 else ())
        world.judge = lambda: verdicts

    with pytest.raises(InvariantError, match=r"showed \[\], then uemu1:[01]*: \['odd'\]"):
        explore(toy(fill), sampler=sampler, twice=1)


def test_a_schedule_that_cannot_be_run_again_is_found() -> None:
    made = [0]

    def fill(world: Toy) -> None:
        made[0] += 1
        racy_counter(world, 1 if made[0] > 1 else 2)

    with pytest.raises(InvariantError, match=r"was run, then step 2: task 1 .* cannot run"):
        explore(toy(fill), twice=1)


@pytest.mark.parametrize("reduction", [True, False])
def test_what_was_given_up_and_what_failed_is_run_again_too(reduction: bool) -> None:
    for fill in (hidden_behind_error, philosophers):
        once = explore(toy(fill), reduction=reduction)
        assert explore(toy(fill), reduction=reduction, twice=1) == once
