"""Reduction loses nothing: the same ends and verdicts as every order, in fewer runs.

Both the toys and small random programs; and where conflicts are hidden, it does lose.
"""

from __future__ import annotations

from random import Random

import pytest

from tests.explore.programs import program_factory, random_program
from tests.explore.toys import (
    TOYS,
    BlindCpu,
    HastyCpu,
    explore_ends,
    kind_of,
    last_one_out,
    locked_counter,
    message_flag_first,
    philosophers,
    racy_counter,
    strangers,
    toy,
)
from uemu.explore import WorldFactory, explore, replay
from uemu.explore.dfs import depth_first
from uemu.explore.dpor import Reduction
from uemu.step import RecordingCpu

RUNS = {
    # Kinds of orders, and executions given up.
    # The order of the stores, 2!; each load before its own store in a place between
    # them, 1 * 2.
    "racy counter": (4, 0),
    # 3! * (1 * 2 * 3).
    "racy counter of three": (36, 0),
    # Who has the lock first, second, third.
    "locked counter": (2, 0),
    "locked counter of three": (6, 0),
    # No conflict, one kind.
    "strangers": (1, 0),
    "strangers, three": (1, 0),
    "locks in turn": (2, 0),
    "locks in turn, three": (6, 0),
    # One of them first, the other first, deadlock in one order instead of two.
    "philosophers": (3, 0),
    # Who has each fork first: 2^3, but of the two ways round one is the deadlock
    # and the other cannot be. Three are given up, looking behind the deadlock.
    "philosophers, three": (7, 3),
    "left-handed philosopher": (2, 0),
    # 2^3, and neither way round.
    "left-handed philosopher of three": (6, 2),
    # How many of each task's two the looker saw: 3^2, 3^3.
    "counters": (9, 0),
    "counters of three": (27, 0),
    # Who was last, and in which order the others were before.
    "last one out": (2, 0),
    "last one out of three": (6, 0),
    # Flag seen, box seen, neither; flag without box cannot be.
    "message": (3, 0),
    # That too.
    "message, flag first": (4, 0),
    "message awaited": (1, 0),
    # The orders of three writes.
    "spawning": (6, 0),
    # The order of the forks and that of the children's writes.
    "two parents": (4, 0),
    # The waiter after a, after b, after both.
    "either": (3, 0),
    # The waiter came before both, or it came after a and b made no difference.
    "short circuit": (2, 1),
    # The witness before or after the setter, times 4: fickle after the setter does not
    # touch y; before it, the looker comes first, or in between, or last.
    "fickle": (8, 0),
    # In time; too late, in one order instead of three.
    "missed wakeup": (2, 1),
    # 00 and 1; 01 is given up before the certain error comes again.
    "hidden behind error": (2, 1),
    "stubborn error": (2, 0),
}


@pytest.mark.parametrize("name", TOYS)
def test_number_of_runs(name: str) -> None:
    found = explore(TOYS[name])
    assert (found.schedules, found.redundant) == RUNS[name]
    assert found.exhaustive


@pytest.mark.parametrize("name", TOYS)
def test_finds_what_every_order_finds(name: str) -> None:
    assert_same(TOYS[name])


@pytest.mark.parametrize("name", [name for name in TOYS if "error" not in name])
def test_runs_each_kind_once(name: str) -> None:
    assert_each_kind_once(TOYS[name])


def assert_same(factory: WorldFactory) -> None:
    every, ends = explore_ends(factory, reduction=False)
    reduced, reduced_ends = explore_ends(factory, reduction=True)
    assert set(reduced.verdicts) == set(every.verdicts)
    assert reduced_ends == ends
    assert reduced.executions <= every.schedules


def assert_each_kind_once(factory: WorldFactory) -> None:
    kinds = {kind_of(replay(factory, trial.schedule)) for trial in depth_first(factory)}
    runs = [trial.schedule for trial in Reduction(factory).runs() if not trial.redundant]
    found = [kind_of(replay(factory, schedule)) for schedule in runs]
    assert len(found) == len(kinds)
    assert set(found) == kinds


# Random programs: twelve lots, so that none is slow, and one can be run alone.

LOTS = 12
PROGRAMS = 30
AT_MOST = 400
"""Programs with more orders than that are passed over."""


def programs(lot: int, *, tasks: int, steps: int, cells: int) -> list[WorldFactory]:
    """So many programs that can be explored without reduction."""
    random = Random(f"uemu {lot}")
    found: list[WorldFactory] = []
    while len(found) < PROGRAMS:
        number = random.randint(2, tasks)
        program = random_program(random, tasks=number, steps=steps, cells=cells)
        factory = program_factory(program, cells)
        if explore(factory, reduction=False, max_schedules=AT_MOST).exhaustive:
            found.append(factory)
    return found


@pytest.mark.parametrize("lot", range(LOTS))
def test_random_programs_end_alike(lot: int) -> None:
    for factory in programs(lot, tasks=3, steps=3, cells=2 + lot % 3):
        assert_same(factory)


@pytest.mark.parametrize("lot", range(4))
def test_random_programs_run_each_kind_once(lot: int) -> None:
    for factory in programs(lot, tasks=3, steps=2, cells=3):
        found = explore(factory)
        if not any(kind.startswith("fail") for kind in found.verdicts):
            assert_each_kind_once(factory)


# Negative controls: conflicts hidden from the explorer


@pytest.mark.parametrize(
    ("fill", "verdict"),
    [(racy_counter, "lost-update"), (message_flag_first, "stale-read")],
)
def test_misses_the_verdict_when_conflicts_are_hidden(fill: object, verdict: str) -> None:
    assert callable(fill)
    blind = toy(fill, cpu=BlindCpu)
    every = explore(blind, reduction=False)
    reduced = explore(blind)
    assert set(every.verdicts) == {verdict}
    assert reduced.verdicts == {}
    assert reduced.schedules == 1


@pytest.mark.parametrize("cpu", [RecordingCpu, HastyCpu])
def test_misses_the_verdict_when_a_look_at_a_counter_is_hidden(cpu: type[RecordingCpu]) -> None:
    found = explore(toy(last_one_out, cpu=cpu))
    every = explore(toy(last_one_out, cpu=cpu), reduction=False)
    assert set(every.verdicts) == {"first"}
    assert set(found.verdicts) == ({"first"} if cpu is RecordingCpu else set())


def test_a_deadlock_is_found_even_then() -> None:
    # A wait is seen without cells: who cannot run any more lost it to somebody.
    found = explore(toy(philosophers, cpu=BlindCpu))
    assert set(found.verdicts) == {"deadlock"}


# What it is good for


@pytest.mark.parametrize(
    ("fill", "number", "schedules"),
    [
        # 8! / 2^4 = 2520 orders: (4!)^2.
        (racy_counter, 4, 576),
        # 12! / 2^6 = 7,484,400 orders.
        (strangers, 6, 1),
        # The orders of five who have a lock.
        (locked_counter, 5, 120),
        # 2^7 - 1: each fork's order but the way round that cannot be.
        (philosophers, 7, 127),
    ],
)
def test_number_of_kinds(fill: object, number: int, schedules: int) -> None:
    assert callable(fill)
    assert explore(toy(fill, number)).schedules == schedules
