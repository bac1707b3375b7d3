"""What is said of a search: never more than it has shown."""

from __future__ import annotations

import pytest

from uemu.cli.coverage import Search, coverage
from uemu.explore import Exploration, Pct

COMPLETE = Exploration(schedules=9, complete=True)


@pytest.mark.parametrize(
    ("found", "search", "text"),
    [
        (Exploration(schedules=1), Search(), "1 schedule in 1.5 s: bounded, no proof"),
        (
            Exploration(schedules=9, interrupted=True),
            Search(),
            "9 schedules in 1.5 s: interrupted, no proof",
        ),
        (
            Exploration(schedules=9, redundant=2, complete=True, exhaustive=True),
            Search(),
            "9 schedules and 2 redundant in 1.5 s: exhaustive, under sequential consistency",
        ),
        (
            COMPLETE,
            Search(max_preemptions=2),
            "9 schedules in 1.5 s: bounded, every schedule with at most 2 preemptions, no proof",
        ),
        (
            COMPLETE,
            Search(max_preemptions=1),
            "9 schedules in 1.5 s: bounded, every schedule with at most 1 preemption, no proof",
        ),
        (
            Exploration(schedules=9),
            Search(max_preemptions=2),
            "9 schedules in 1.5 s: bounded, no proof",
        ),
        (
            Exploration(schedules=9, complete=True, cut=True),
            Search(max_preemptions=2),
            "9 schedules in 1.5 s: bounded, no proof",
        ),
        (
            COMPLETE,
            Search("random", seed=7),
            "9 schedules drawn at random, seed 7, in 1.5 s: no proof",
        ),
        (
            COMPLETE,
            Search("pct", seed=7, depth=2),
            "9 schedules drawn by PCT, depth 2, seed 7, in 1.5 s: no proof",
        ),
    ],
)
def test_says_what_was_covered(found: Exploration, search: Search, text: str) -> None:
    assert coverage(found, search, seconds=1.5) == [text]


@pytest.mark.parametrize(
    ("sampler", "deepest", "text"),
    [
        (Pct(0, 1, 20), 20, "of depth 1 with a probability of at least 1/(3) = 1/3"),
        (Pct(0, 2, 20), 19, "of depth 2 with a probability of at least 1/(3*20) = 1/60"),
        (Pct(0, 3, 20), 20, "of depth 3 with a probability of at least 1/(3*20^2) = 1/1200"),
        (Pct(0, 3, 20), 21, "no odds can be given: a schedule had 21 steps, and it was planned"),
    ],
)
def test_the_odds_of_pct(sampler: Pct, deepest: int, text: str) -> None:
    found = Exploration(schedules=9, deepest=deepest, tasks=3, complete=True)
    search = Search("pct", seed=0, depth=sampler.depth)
    _, odds = coverage(found, search, sampler=sampler)
    assert text in odds


@pytest.mark.parametrize(
    ("twice", "which"), [(1, "each schedule"), (2, "one schedule in 2"), (10, "one schedule in 10")]
)
def test_what_was_run_twice(twice: int, which: str) -> None:
    _, line = coverage(COMPLETE, Search(twice=twice))
    assert line == f"{which} was run twice more, and did the same"


def test_a_worker_that_died_is_told() -> None:
    _, line = coverage(Exploration(schedules=9, deaths=1), Search())
    assert line == "a worker died once; its part was given to another, nothing is lost"
    _, line = coverage(Exploration(schedules=9, deaths=2), Search())
    assert line.startswith("a worker died 2 times; ")
