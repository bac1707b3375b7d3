"""A search in parts runs what it runs in one: each kind once, none twice, none not."""

from __future__ import annotations

from itertools import chain

import pytest

from tests.explore.executors import Inline, OnTheSpot, workers
from tests.explore.test_dpor import LOTS, RUNS, programs
from tests.explore.toys import TOYS, Observed, kind_of, philosophers, racy_counter, toy
from uemu.explore import Exploration, WorldFactory, explore, replay
from uemu.explore.dfs import DepthFirst, depth_first
from uemu.explore.dpor import Reduction
from uemu.explore.search import Search
from uemu.explore.split import Halves, Splitter, Tree


def parts_of(
    search: Search, splitter: Splitter, limit: int = 100
) -> list[list[tuple[tuple[int, ...], bool]]]:
    """Run a search, divided after each execution; what each part ran."""
    ran: list[list[tuple[tuple[int, ...], bool]]] = []
    left = [search]
    while left:
        part = left.pop()
        ran.append([])
        while (trial := part.next()) is not None:
            ran[-1].append((trial.schedule, trial.redundant))
            left += splitter.learn(part)
            if len(left) < limit:
                left += splitter.divide(part)
        left += splitter.learn(part)
    return ran


def test_every_order_in_parts() -> None:
    found = parts_of(DepthFirst(toy(racy_counter)), Halves())
    # The first schedule, and whatever begins with 1 is given away, and with it 01;
    # there 10 after 1, and so on: each part keeps what it has begun.
    assert sorted(chain(*found)) == [
        (trial.schedule, False) for trial in depth_first(toy(racy_counter))
    ]
    assert len(found) > 3


def test_nobody_gives_away_what_is_the_last() -> None:
    search = DepthFirst(toy(racy_counter, 1))
    assert search.split() is None
    search.next()
    assert search.split() is None
    assert Tree().divide(Reduction(toy(racy_counter))) == []


@pytest.mark.parametrize("name", [name for name in TOYS if "error" not in name])
def test_one_order_of_each_kind_in_parts(name: str) -> None:
    factory = TOYS[name]
    ran = list(chain(*parts_of(Reduction(factory), Tree())))
    kinds = [kind_of(replay(factory, schedule)) for schedule, redundant in ran if not redundant]
    assert len(kinds) == RUNS[name][0]
    assert set(kinds) == {
        kind_of(replay(factory, trial.schedule)) for trial in depth_first(factory)
    }


def test_parts_are_many() -> None:
    # 7 kinds, 10 executions (see test_dpor): two end a part that another began.
    found = parts_of(Reduction(toy(philosophers, 3)), Tree())
    assert sorted(len(part) for part in found) == [1] * 6 + [2] * 2


@pytest.mark.parametrize("number", [1, 2, 3, 9])
@pytest.mark.parametrize("name", TOYS)
def test_workers_find_what_one_finds(name: str, number: int) -> None:
    found = explore(TOYS[name], workers=workers(number=number))
    assert_same(found, explore(TOYS[name]))
    assert found.exhaustive


@pytest.mark.parametrize("name", TOYS)
def test_workers_find_what_one_finds_without_reduction(name: str) -> None:
    for options in ({"reduction": False}, {"max_preemptions": 1}, {"max_preemptions": 2}):
        alone = explore(TOYS[name], **options)
        found = explore(TOYS[name], workers=workers(), **options)
        assert_same(found, alone)
        assert (found.redundant, found.steps) == (alone.redundant, alone.steps)
        assert found.exhaustive is alone.exhaustive


def assert_same(found: Exploration, alone: Exploration) -> None:
    assert set(found.verdicts) == set(alone.verdicts)
    assert found.schedules == alone.schedules
    assert (found.deepest, found.complete) == (alone.deepest, alone.complete)


@pytest.mark.parametrize("lot", range(LOTS))
def test_random_programs_end_alike_in_parts(lot: int) -> None:
    for factory in programs(lot, tasks=3, steps=3, cells=2 + lot % 3):
        alone, ends = ends_of(factory, None)
        for number in (2, 7):
            found, found_ends = ends_of(factory, number)
            assert set(found.verdicts) == set(alone.verdicts)
            assert found_ends == ends
            # Where an error ends them, the same kind may come to its end twice.
            if not any(kind.startswith("fail") for kind in found.verdicts):
                assert_same(found, alone)


def ends_of(factory: WorldFactory, number: int | None) -> tuple[Exploration, set[str]]:
    """Explore, and collect the final states."""
    ends: dict[str, None] = {}
    crew = None if number is None else workers(OnTheSpot, number=number)
    found = explore(lambda: Observed(factory(), ends), workers=crew)
    return found, set(ends)


def test_a_search_can_be_pickled_wherever_it_stands() -> None:
    # `Inline` does that with every call: slices of one, two, three executions.
    for executions in (1, 2, 3):
        crew = workers(Inline, slice_executions=executions)
        assert explore(toy(racy_counter, 3), workers=crew).schedules == 36


class Forgetful(Tree):
    """A tree that does not collect what is wanted at common nodes: the control."""

    def learn(self, search: Search) -> list[Search]:
        return []


def test_loses_kinds_if_nobody_collects_what_is_wanted() -> None:
    ran = list(chain(*parts_of(Reduction(toy(racy_counter, 3)), Forgetful())))
    assert len(ran) < 36
