"""Replay: the same run from its schedule, and a clear word where that cannot be."""

from __future__ import annotations

import pytest

from tests.explore.toys import TOYS, Toy, locked_counter, racy_counter, spawning, toy
from uemu.errors import InvariantError
from uemu.explore import Schedule, ScheduleError, WorldFactory, check_deterministic, explore, replay


def test_follows_the_schedule() -> None:
    run = replay(toy(racy_counter), Schedule.parse("uemu1:0110"))
    assert str(run.schedule) == "uemu1:0110"
    assert run.verdicts == {"lost-update"}


def test_goes_on_with_the_lowest_task() -> None:
    assert str(replay(toy(racy_counter), (1,)).schedule) == "uemu1:1001"


def test_names_a_task_that_waits() -> None:
    with pytest.raises(ScheduleError) as caught:
        replay(toy(locked_counter), (0, 1))
    assert str(caught.value) == "step 1: task 1 (t1, waits in lock) cannot run; who can: 0 (t0)"


def test_names_a_task_that_is_through() -> None:
    with pytest.raises(ScheduleError, match=r"step 2: task 0 \(t0, through\) .*: 1 \(t1\)"):
        replay(toy(racy_counter), (0, 0, 0))


def test_names_a_task_that_does_not_exist_yet() -> None:
    with pytest.raises(ScheduleError, match=r"step 0: task 2 \(there is none\)"):
        replay(toy(spawning), (2,))


def test_says_when_the_run_is_over() -> None:
    with pytest.raises(ScheduleError, match=r"step 4: .*nobody, the run is over"):
        replay(toy(racy_counter), (0, 0, 1, 1, 1))


@pytest.mark.parametrize("name", TOYS)
def test_repeats_every_verdict(name: str) -> None:
    for kind, run in explore(TOYS[name]).verdicts.items():
        again = replay(TOYS[name], Schedule.parse(str(run.schedule)))
        assert again == run
        assert kind in again.verdicts
        check_deterministic(TOYS[name], run.schedule)


def changing() -> WorldFactory:
    """A factory whose worlds count on from each other: a mistake."""
    made = [0]

    def fill(world: Toy) -> None:
        made[0] += 1
        racy_counter(world)
        world.cell("made", made[0])

    return toy(fill)


def test_a_world_that_differs_is_found() -> None:
    with pytest.raises(InvariantError, match=r"nondeterminism: uemu1:0011 .* step 0 was") as caught:
        check_deterministic(changing(), (0, 0, 1, 1))
    assert "made=1" in str(caught.value)
    assert "made=2" in str(caught.value)


def test_verdicts_that_differ_are_found() -> None:
    made = [0]

    def fill(world: Toy) -> None:
        made[0] += 1
        verdicts = frozenset({f"made-{made[0]}"})
        world.judge = lambda: verdicts

    with pytest.raises(InvariantError, match=r"verdicts were \['made-1'\], then \['made-2'\]"):
        check_deterministic(toy(fill), ())
