"""Every order, exactly once: the numbers can be counted by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.explore.toys import TOYS, Toy, endless, racy_counter, spawning, toy
from uemu.errors import InvariantError
from uemu.explore import Schedule
from uemu.explore.dfs import depth_first

SCHEDULES = {
    # Two tasks of two steps: 4! / (2! 2!).
    "racy counter": 6,
    # Three: 6! / (2! 2! 2!).
    "racy counter of three": 90,
    # Who has the lock runs on alone: the orders in which the tasks have it, 2! and 3!.
    "locked counter": 2,
    "locked counter of three": 6,
    # As the racy counters: conflicts do not matter here.
    "strangers": 6,
    "strangers, three": 90,
    # Two tasks of two steps and one of one: 5! / (2! 2!); 7! / (2! 2! 2!).
    "counters": 30,
    "counters of three": 630,
    "last one out": 2,
    "last one out of three": 6,
    "locks in turn": 2,
    "locks in turn, three": 6,
    # 000111 and 111000, and both orders into the deadlock, 01 and 10.
    "philosophers": 4,
    # The first fork is taken in 3! orders = 6 deadlocks; 42 go well.
    "philosophers, three": 48,
    # Both reach for the same fork first: who has it runs on alone.
    "left-handed philosopher": 2,
    # Fork 0 first to its right-handed neighbour: 8 if that one has fork 1 first too, else 4.
    # To the left-handed one: 14 if it has fork 2 first too, else 4.
    "left-handed philosopher of three": 30,
    "message": 6,
    "message, flag first": 6,
    # The reader waits for the writer's last step.
    "message awaited": 1,
    # Fork, then parent and child in 2 orders, the stranger in each of 4 places.
    "spawning": 8,
    # Each fork before its child: 4! / (2 2).
    "two parents": 6,
    # The waiter is not first: 3! - 2.
    "either": 4,
    # Of 3! orders one is impossible: b, the waiter, a.
    "short circuit": 5,
    "fickle": 24,
    # y x1 w x2, x1 y w x2; and without an end: y x1 x2, x1 y x2, x1 x2 y.
    "missed wakeup": 5,
    # 00, 010, 1.
    "hidden behind error": 3,
    "stubborn error": 2,
}


@pytest.mark.parametrize("name", TOYS)
def test_number_of_schedules(name: str) -> None:
    trials = list(depth_first(TOYS[name]))
    assert len(trials) == SCHEDULES[name]
    assert len({trial.schedule for trial in trials}) == SCHEDULES[name]
    assert not any(trial.redundant for trial in trials)


def test_lists_them_in_ascending_order() -> None:
    found = [str(Schedule(trial.schedule)) for trial in depth_first(toy(racy_counter))]
    assert found == [
        "uemu1:0011",
        "uemu1:0101",
        "uemu1:0110",
        "uemu1:1001",
        "uemu1:1010",
        "uemu1:1100",
    ]


def test_verdicts_of_each() -> None:
    lost = [bool(trial.verdicts) for trial in depth_first(toy(racy_counter))]
    assert lost == [False, True, True, True, True, False]


def test_a_task_of_its_own_from_its_creation_on() -> None:
    found = {str(Schedule(trial.schedule)) for trial in depth_first(toy(spawning))}
    assert "uemu1:0201" in found
    assert "uemu1:0120" in found


def test_an_order_of_the_callers_own() -> None:
    def at_most_one_switch(schedule: Sequence[int], runnable: Sequence[int]) -> Sequence[int]:
        if 0 in schedule and 1 in schedule:
            return [task for task in runnable if task == schedule[-1]]
        return runnable

    trials = list(depth_first(toy(racy_counter), order=at_most_one_switch))
    # 01 and 10 may not go back to finish: they are given up.
    assert [(trial.schedule, trial.redundant) for trial in trials] == [
        ((0, 0, 1, 1), False),
        ((0, 1, 1), True),
        ((1, 0, 0), True),
        ((1, 1, 0, 0), False),
    ]


def test_a_livelock_is_cut() -> None:
    (trial,) = depth_first(toy(endless), max_steps=7)
    assert trial.verdicts == {"livelock"}
    assert (trial.is_cut, len(trial.schedule)) == (True, 7)


def test_a_world_that_differs_is_found() -> None:
    made = [1]

    def fill(world: Toy) -> None:
        made[0] += 1
        racy_counter(world, made[0])

    with pytest.raises(InvariantError, match=r"nondeterminism: .* before it was \[0, 1\]"):
        list(depth_first(toy(fill)))
