"""Many cells: each is reported once, whoever runs it, also when workers die."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from uemu.errors import HostError
from uemu.explore import Workers
from uemu.matrix import share
from uemu.matrix.cells import CellName, How, cell_names
from uemu.matrix.result import Cell
from uemu.matrix.share import MOST_DEATHS, run_cells

NAMES = cell_names(["linux-2.6.29", "linux-5.9", "linux-6.5"], ["lost-read", "reverse-race"])


class Mortal(ThreadPoolExecutor):
    """An executor whose workers die now and then."""

    def __init__(self, dies: Callable[[], bool]) -> None:
        super().__init__(2)
        self.dies = dies
        self.over = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call, or die of it."""
        if self.over:
            raise BrokenExecutor("a worker died")
        if not self.dies():
            return super().submit(fn, *args, **kwargs)
        self.over = True
        future: Future[Any] = Future()
        future.set_exception(BrokenExecutor("a worker died"))
        return future


def workers(start: Callable[[], Executor], head_start_s: float = 0) -> Workers:
    return Workers(start, 2, head_start_s=head_start_s)


def test_alone_they_are_run_in_order() -> None:
    cells: list[Cell] = []
    run_cells(NAMES, How(), cells.append)
    assert [cell.name for cell in cells] == NAMES


def test_several_workers_run_each_once_and_find_the_same() -> None:
    alone: list[Cell] = []
    cells: list[Cell] = []
    run_cells(NAMES, How(), alone.append)
    run_cells(NAMES, How(), cells.append, workers=workers(lambda: ThreadPoolExecutor(2)))
    assert sorted(cells, key=lambda cell: NAMES.index(cell.name)) == alone


def test_what_is_through_at_once_needs_no_workers() -> None:
    def start() -> Executor:
        raise AssertionError("somebody was started")

    cells: list[Cell] = []
    run_cells(NAMES, How(), cells.append, workers=workers(start, 60))
    assert len(cells) == len(NAMES)


def test_the_cells_of_a_worker_that_dies_are_run_by_another() -> None:
    calls: list[None] = []
    started: list[Mortal] = []

    def dies() -> bool:
        calls.append(None)
        return len(calls) in (2, 5)

    def start() -> Executor:
        started.append(Mortal(dies))
        return started[-1]

    cells: list[Cell] = []
    run_cells(NAMES, How(), cells.append, workers=workers(start))
    assert sorted(cell.name for cell in cells) == sorted(NAMES)
    assert len(started) == 3


def test_workers_that_die_each_time_are_given_up() -> None:
    started: list[Mortal] = []

    def start() -> Executor:
        started.append(Mortal(lambda: True))
        return started[-1]

    with pytest.raises(HostError, match="5 of them died one after the other"):
        run_cells(NAMES, How(), lambda cell: None, workers=workers(start))
    assert len(started) == MOST_DEATHS


def test_who_interrupts_ends_what_the_workers_are_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(share, "wait", interrupt)
    aborted: list[Executor] = []
    with pytest.raises(KeyboardInterrupt):
        run_cells(
            NAMES,
            How(),
            lambda cell: None,
            workers=workers(lambda: ThreadPoolExecutor(2)),
            abort=aborted.append,
        )
    assert len(aborted) == 1


def test_what_cannot_be_run_at_all_is_raised() -> None:
    with pytest.raises(KeyError):
        run_cells([CellName("linux-6.5", "unheard-of")], How(), lambda cell: None)
