"""What a cell showed, and where that is not what is expected."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from uemu.expected.cell import Expected
from uemu.matrix.cells import CellName
from uemu.matrix.costs import Costs
from uemu.matrix.growth import Growth
from uemu.oracle.violations import KINDS

Kinds = frozenset[str]


@dataclass(frozen=True, slots=True)
class Live:
    """What real processes did.

    Attributes:
        verdicts: what was violated.
        differs: in what it is not as simulated, in words, or nothing.
    """

    verdicts: Kinds
    differs: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """What became of a cell.

    Attributes:
        name: which it is.
        expected: what its canonical run is expected to show, and why.
        reason: why it cannot exist, or None; then it was not run.
        canonical: what its canonical run showed.
        verdicts: the same, and what any other order showed that was run.
        schedules: how many orders were run.
        exhaustive: whether those stand for all there are.
        schedule: an order that shows a violation, or None.
        live: None if it did not run on real processes.
        costs: of the canonical run; None if there was none.
        growth: how they grow, where that was asked and there is more than one size.
        unruly: why that cannot be told, or nothing.
    """

    name: CellName
    expected: Expected
    reason: str | None = None
    canonical: Kinds = frozenset()
    verdicts: Kinds = frozenset()
    schedules: int = 0
    exhaustive: bool = False
    schedule: str | None = None
    live: Live | None = None
    costs: Costs | None = None
    growth: Growth | None = None
    unruly: str = ""

    @property
    def as_expected(self) -> bool:
        """Whether the canonical run showed what it is expected to show, at a cost by the page."""
        return self.canonical == self.expected.kinds and not self.unruly

    @property
    def as_live(self) -> bool:
        """Whether real processes did the same, if they were asked."""
        return self.live is None or not self.live.differs

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        live = self.live
        return {
            "policy": self.name.policy,
            "scenario": self.name.scenario,
            "status": "run" if self.reason is None else "not-applicable",
            "reason": self.reason,
            "verdicts": ordered(self.verdicts),
            "expected": ordered(self.expected.kinds),
            "schedules": self.schedules,
            "exhaustive": self.exhaustive,
            "schedule": self.schedule,
            "live": live and {"verdicts": ordered(live.verdicts)},
            "costs": self.costs_json(),
        }

    def costs_json(self) -> dict[str, Any]:
        """The figures by name, and ``growth`` where that is known."""
        if self.costs is None:
            return {}
        growth = {} if self.growth is None else {"growth": self.growth.as_json()}
        return {**self.costs.as_json(), **growth}


def ordered(kinds: Collection[str]) -> list[str]:
    """Kinds of violations in the order of `KINDS`."""
    return [kind for kind in KINDS if kind in kinds]
