"""How the costs of a scale scenario grow with its pages.

Each figure has a fixed part and one by the page. Two sizes give both; a third,
as far again, is where a figure that grows otherwise shows. The sizes lie whole
calls of get_user_pages apart: what comes by the call grows by the page, too,
and may be off by one call in between. The first call may be another matter, if
it marks what the others find: so the lines begin behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from uemu.abi import PAGE_SIZE
from uemu.matrix.costs import MeasuredWorld
from uemu.mm.hooks import PolicyHooks
from uemu.scenario.script import Scenario
from uemu.scenario.simulate import tell


class Line(NamedTuple):
    """A figure that grows by the page.

    Attributes:
        fixed: what it is with no page at all.
        per_page: what each page adds, or its part of what each call does.
    """

    fixed: Fraction | int
    per_page: Fraction | int

    def at(self, nr_pages: int) -> Fraction | int:
        """The figure for so many pages."""
        return self.fixed + self.per_page * nr_pages


LARGE = (40 << 20) // PAGE_SIZE, (1 << 30) // PAGE_SIZE
"""What is told beyond the sizes that ran: the buffer of forkscrewreverse.c, 40 MiB, and the area
of A. Arcangeli's example of 2009-03-12 18:06, 1 GiB; in pages."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How the costs of a cell grow.

    Attributes:
        measured: figures by name, for each number of pages that ran.
        lines: each figure, by its name, from the second size on.
    """

    measured: dict[int, dict[str, int]]
    lines: dict[str, Line]

    def per_page(self) -> dict[str, str]:
        """What each page adds to each figure, as a number or a fraction."""
        return {figure: str(line.per_page) for figure, line in self.lines.items()}

    def as_json(self) -> dict[str, Any]:
        """Objects of figures: at each size that ran, by the page, and beyond."""
        return {
            "measured": [{"pages": size, **costs} for size, costs in self.measured.items()],
            "per_page": {figure: float(line.per_page) for figure, line in self.lines.items()},
            "extrapolated": [
                {
                    "pages": size,
                    **{figure: round(line.at(size)) for figure, line in self.lines.items()},
                }
                for size in LARGE
            ],
        }


def growth(scenario: Scenario, policy: str | PolicyHooks) -> Growth | None:
    """How what a scenario costs grows with its pages; None if it has one size.

    Raises:
        ValueError: a figure does not grow by the page.
    """
    if scenario.sizes is None or scenario.at is None:
        return None
    small, large = scenario.sizes
    sizes = [small + times * (large - small) for times in range(4)]
    measured = {size: _costs(scenario.at(size), policy) for size in sizes}
    lines = {}
    for figure in measured[small]:
        one, two, three = (measured[size][figure] for size in sizes[1:])
        per_page = Fraction(two - one, large - small)
        lines[figure] = Line(one - per_page * large, per_page)
        if three - two != two - one:
            raise ValueError(
                f"{scenario.name} under {policy}: {figure} does not grow by the page: {one},"
                f" {two}, {three}"
            )
    return Growth(measured, lines)


def growth_of(scenario: Scenario, policy: str | PolicyHooks) -> dict[str, Line]:
    """Every figure of `uemu.matrix.costs.Costs` as a line, in the canonical order.

    Raises:
        ValueError: it is no scale scenario, or a figure does not grow by the page.
    """
    grown = growth(scenario, policy)
    if grown is None:
        raise ValueError(f"{scenario.name} has one size")
    return grown.lines


class _LargeWorld(MeasuredWorld):
    """A world that is checked when it is through; to look at every page costs each step a page."""

    def check(self) -> None:
        """Not yet."""


def _costs(scenario: Scenario, policy: str | PolicyHooks) -> dict[str, int]:
    world = _LargeWorld(scenario, policy)
    tell(world)
    world.stop()
    return world.costs.as_json()
