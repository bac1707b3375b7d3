"""What a search can do: run the next execution, be put aside, be shared out.

A search is data: between two executions it can be pickled, and goes on in another
process where it stood. `dfs`, `dpor` and `sampling` are the three there are. Who
shares one out among workers is in `share`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from uemu.explore.replay import check_again
from uemu.explore.result import Tally, Trial
from uemu.explore.world import WorldFactory


class Search(Protocol):
    """Executions that are left to be run.

    Attributes:
        factory: makes the world; pickled with the search.
        max_steps: how long an execution may grow.
        executions: how many were run, by those it was split from too.
    """

    factory: WorldFactory
    max_steps: int
    executions: int

    def next(self) -> Trial | None:
        """Run the next execution; None if none is left."""
        ...


def trials(search: Search, twice: int = 0) -> Iterator[Trial]:
    """Run what is left, one execution after the other.

    Args:
        twice: run every so manieth schedule two more times, and compare; 0 for none.

    Raises:
        InvariantError: ``nondeterminism``.
    """
    while (trial := search.next()) is not None:
        search.executions += 1
        if twice and search.executions % twice == 0:
            check_again(search.factory, trial, max_steps=search.max_steps)
        yield trial


@dataclass(frozen=True, slots=True)
class Slice:
    """As much of a search as a worker runs before it reports.

    Attributes:
        executions, seconds: it ends when either is spent.
        twice: as for `trials`.
    """

    executions: int
    seconds: float
    twice: int = 0


@dataclass(slots=True)
class Report:
    """What a slice found.

    Attributes:
        search: the search as it stands now.
        finished: whether nothing of it is left.
    """

    tally: Tally
    search: Search
    finished: bool = False


def work(search: Search, portion: Slice) -> Report:
    """Run a slice of a search: this is what a worker does."""
    report = Report(Tally(), search)
    end = monotonic() + portion.seconds
    for trial in trials(search, portion.twice):
        report.tally.add(trial)
        if report.tally.executions >= portion.executions or monotonic() >= end:
            return report
    report.finished = True
    return report
