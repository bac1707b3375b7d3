"""How the costs of a scale scenario grow with its pages.

Each figure has a fixed part and one by the page. Two sizes give both; a third,
as far again, is where a figure that grows otherwise shows. The sizes lie whole
calls of get_user_pages apart: what comes by the call grows by the page, too,
and may be off by one call in between.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

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

    fixed: Fraction
    per_page: Fraction

    def at(self, nr_pages: int) -> Fraction:
        """The figure for so many pages."""
        return self.fixed + self.per_page * nr_pages


def growth_of(scenario: Scenario, policy: str | PolicyHooks) -> dict[str, Line]:
    """Every figure of `uemu.matrix.costs.Costs` as a line, in the canonical order.

    Raises:
        ValueError: it is no scale scenario, or a figure does not grow by the page.
    """
    if scenario.sizes is None or scenario.at is None:
        raise ValueError(f"{scenario.name} has one size")
    small, large = scenario.sizes
    low, high, beyond = (
        _costs(scenario.at(nr_pages), policy) for nr_pages in (small, large, 2 * large - small)
    )
    lines = {}
    for figure, value in low.items():
        per_page = Fraction(high[figure] - value, large - small)
        line = lines[figure] = Line(value - per_page * small, per_page)
        if line.at(2 * large - small) != beyond[figure]:
            raise ValueError(
                f"{scenario.name} under {policy}: {figure} does not grow by the page: {value},"
                f" {high[figure]}, {beyond[figure]}"
            )
    return lines


def _costs(scenario: Scenario, policy: str | PolicyHooks) -> dict[str, int]:
    world = MeasuredWorld(scenario, policy)
    tell(world)
    world.stop()
    return world.costs.as_json()
