"""Workers: their bounds, their deaths, their errors, and the person who interrupts them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from tests.explore.executors import Inline, Mortal, workers
from tests.explore.toys import Toy, endless, philosophers, racy_counter, toy
from uemu.errors import HostError, InvariantError
from uemu.explore import Pct, Uniform, explore

T = TypeVar("T")


@pytest.mark.parametrize("bound", range(1, 8))
def test_a_bound_on_schedules_is_kept_exactly(bound: int) -> None:
    for slice_executions in (1, 3, 1000):
        crew = workers(slice_executions=slice_executions)
        found = explore(toy(racy_counter), reduction=False, max_schedules=bound, workers=crew)
        assert found.schedules == min(bound, 6)
        assert found.exhaustive is (bound > 6)


@pytest.mark.parametrize("sampler", [Uniform(3), Pct(3, 2, 6)], ids=repr)
def test_samples_are_the_same_whoever_draws_them(sampler: Uniform | Pct) -> None:
    alone = explore(toy(racy_counter, 3), sampler=sampler, max_schedules=60)
    for slice_executions in (1, 7):
        crew = workers(slice_executions=slice_executions)
        found = explore(toy(racy_counter, 3), sampler=sampler, max_schedules=60, workers=crew)
        assert (found.schedules, found.steps) == (60, alone.steps)
        assert (found.complete, found.exhaustive) == (True, False)
        assert set(found.verdicts) == set(alone.verdicts)


def test_the_run_that_is_kept_does_not_depend_on_who_is_first() -> None:
    for number in (1, 2, 5):
        found = explore(toy(racy_counter, 3), reduction=False, workers=workers(number=number))
        assert str(found.verdicts["lost-update"].schedule) == "uemu1:001212"


def test_a_livelock_is_no_proof() -> None:
    found = explore(toy(endless), max_steps=20, workers=workers())
    assert (list(found.verdicts), found.exhaustive) == (["livelock"], False)


def test_stops_at_the_first_verdict() -> None:
    found = explore(toy(racy_counter, 3), stop_at_first=True, workers=workers())
    assert (list(found.verdicts), found.complete) == (["lost-update"], False)
    assert found.schedules < 36


def test_what_is_soon_through_needs_no_workers() -> None:
    def start() -> Executor:
        raise AssertionError("there was no need")

    assert explore(toy(racy_counter), workers=workers(start, head_start_s=60)).exhaustive


def test_tells_how_far_it_is() -> None:
    told: list[int] = []
    explore(toy(racy_counter), reduction=False, workers=workers(number=1), progress=told.append)
    assert told[-1] == 6
    assert told == sorted(told)


# Deaths


@dataclass
class EveryNth:
    """Kills at every n-th call."""

    n: int

    def __call__(self, call: int) -> bool:
        return call % self.n == 0


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_worker_that_dies_takes_nothing_along(n: int) -> None:
    for options in ({}, {"reduction": False}, {"sampler": Uniform(1), "max_schedules": 36}):
        alone = explore(toy(racy_counter, 3), **options)
        calls: list[int] = []
        found = explore(
            toy(racy_counter, 3),
            workers=workers(lambda calls=calls: Mortal(calls, EveryNth(n))),  # type: ignore[misc]
            **options,
        )
        assert found.schedules == alone.schedules
        assert set(found.verdicts) == set(alone.verdicts)
        assert found.exhaustive is alone.exhaustive
        assert found.deaths > 2


def test_no_death_is_told_where_nobody_died() -> None:
    calls: list[int] = []
    found = explore(toy(racy_counter), workers=workers(lambda: Mortal(calls, lambda call: False)))
    assert (found.deaths, found.schedules) == (0, 4)


def test_gives_up_when_every_worker_dies() -> None:
    calls: list[int] = []
    with pytest.raises(HostError, match=r"5 of them died one after the other.*--jobs 1"):
        explore(toy(racy_counter), workers=workers(lambda: Mortal(calls, lambda call: True)))
    assert len(calls) == 5


def test_a_budget_is_not_spent_on_what_was_lost() -> None:
    calls: list[int] = []
    found = explore(
        toy(racy_counter, 3),
        max_schedules=20,
        workers=workers(lambda: Mortal(calls, EveryNth(3)), slice_executions=4),
    )
    assert (found.executions, found.complete) == (20, False)


# Errors, and Ctrl-C


def differing(world: Toy) -> None:
    """A world that is another one each time."""
    racy_counter(world)
    world.cell(f"cell {id(world)}")
    world.judge = lambda: frozenset({f"odd-{id(world)}"})


def test_an_error_of_a_worker_goes_up() -> None:
    with pytest.raises(InvariantError, match="nondeterminism: ") as caught:
        explore(toy(differing), twice=1, workers=workers())
    assert caught.value.kind == "nondeterminism"


class Impatient(Inline):
    """Somebody presses Ctrl-C at the n-th call."""

    def __init__(self, n: int) -> None:
        self.left = n
        self.ended = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return super().submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        assert wait
        self.ended = True


@pytest.mark.parametrize("n", [1, 2, 9])
def test_ctrl_c_yields_what_there_is_and_ends_the_workers(n: int) -> None:
    executor = Impatient(n)
    found = explore(toy(philosophers, 5), workers=workers(lambda: executor))
    assert (found.interrupted, found.complete, found.exhaustive) == (True, False, False)
    # The first in this process, and one of each slice that was given out before.
    assert found.executions == n
    assert executor.ended


def test_the_workers_end_in_any_case() -> None:
    executor = Impatient(0)
    assert explore(toy(racy_counter), workers=workers(lambda: executor)).exhaustive
    assert executor.ended
