"""What every measurement has: its figures, what they are held against, the verdict."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report.

    Attributes:
        what: the thing measured.
        value, unit: its median.
        against: what it is held against, measured in the same run, or "".
        base: that figure, in the same unit.
        limit: the ratio, or the value where there is no base, not to exceed.
    """

    what: str
    value: float
    unit: str
    against: str = ""
    base: float = 1.0
    limit: float | None = None

    @property
    def ratio(self) -> float:
        """How many times the base."""
        return self.value / self.base

    @property
    def holds(self) -> bool | None:
        """Whether it stays within its limit, if it has one."""
        return None if self.limit is None else self.ratio <= self.limit


def median_ns(action: Callable[[], object], rounds: int) -> float:
    """The median duration of ``action`` in nanoseconds."""
    durations = []
    for _ in range(rounds):
        start = perf_counter_ns()
        action()
        durations.append(perf_counter_ns() - start)
    return statistics.median(durations)
