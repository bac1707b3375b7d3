"""Samplers: the same schedule from the same seed, whoever draws it, and no proof."""

from __future__ import annotations

import pytest

from tests.explore.toys import TOYS, endless, hidden_behind_error, racy_counter, toy
from uemu.explore import Pct, Sampler, Uniform, explore, replay, shrink
from uemu.explore.sampling import Samples, sample

SAMPLERS = [Uniform(1), Pct(1, depth=3, steps=9)]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_the_same_number_draws_the_same_schedule(sampler: Sampler) -> None:
    factory = toy(racy_counter, 3)
    drawn = [sample(factory, sampler.begin(number)) for number in range(20)]
    assert drawn == [sample(factory, sampler.begin(number)) for number in range(20)]
    assert len({trial.schedule for trial in drawn}) > 3


@pytest.mark.parametrize(("one", "other"), [(Uniform(1), Uniform(2)), (Pct(1, 3, 9), Pct(2, 3, 9))])
def test_another_seed_draws_others(one: Sampler, other: Sampler) -> None:
    factory = toy(racy_counter, 3)
    drawn, drawn_too = (
        [sample(factory, each.begin(n)) for n in range(20)] for each in (one, other)
    )
    assert drawn != drawn_too


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
@pytest.mark.parametrize("name", TOYS)
def test_draws_nothing_that_cannot_be(name: str, sampler: Sampler) -> None:
    every = explore(TOYS[name], reduction=False)
    found = explore(TOYS[name], sampler=sampler, max_schedules=50)
    assert found.verdicts.keys() <= every.verdicts.keys()
    for kind, run in found.verdicts.items():
        assert replay(TOYS[name], run.schedule) == run
        assert kind in shrink(TOYS[name], run, kind).verdicts


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_as_many_as_it_should_take_and_never_exhaustive(sampler: Sampler) -> None:
    found = explore(toy(racy_counter), sampler=sampler)
    assert (found.schedules, found.redundant, found.deepest, found.tasks) == (1000, 0, 4, 2)
    assert (found.complete, found.exhaustive) == (True, False)
    found = explore(toy(racy_counter), sampler=sampler, max_schedules=7)
    assert (found.schedules, found.complete, found.exhaustive) == (7, True, False)


def test_stops_at_the_first_verdict() -> None:
    found = explore(toy(racy_counter), sampler=Uniform(1), stop_at_first=True)
    assert set(found.verdicts) == {"lost-update"}
    assert (found.schedules < 10, found.complete) == (True, False)


def test_an_error_and_a_livelock_end_a_schedule() -> None:
    found = explore(toy(hidden_behind_error), sampler=Uniform(1), max_schedules=50)
    assert set(found.verdicts) == {"certain", "early"}
    found = explore(toy(endless), sampler=Uniform(1), max_schedules=2, max_steps=7)
    assert (set(found.verdicts), found.cut, found.deepest) == ({"livelock"}, True, 7)


def test_two_halves_draw_what_one_draws() -> None:
    whole = Samples(toy(racy_counter, 3), Uniform(1), 11)
    half = Samples(toy(racy_counter, 3), Uniform(1), 11)
    drawn = [half.next() for _ in range(3)]
    other = half.split()
    assert other is not None
    for search in (half, other):
        while (trial := search.next()) is not None:
            drawn.append(trial)
    assert drawn == [whole.next() for _ in range(11)]
    assert whole.next() is None
    assert other.split() is None


def test_a_bound_on_preemptions_means_nothing_to_a_sampler() -> None:
    with pytest.raises(ValueError, match="no bound on preemptions applies"):
        explore(toy(racy_counter), sampler=Uniform(1), max_preemptions=1)
