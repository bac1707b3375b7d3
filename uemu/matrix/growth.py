"""How the costs of a scale scenario grow with its pages.

Each figure has a fixed part and one by the page. Two sizes give both; a third,
as far again, is where a figure that grows otherwise shows. What gup-fast executes
is left out: it comes by the call, and the first call may be another than the rest.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from uemu.matrix.costs import MeasuredWorld
from uemu.mm.hooks import PolicyHooks
from uemu.scenario.script import Scenario
from uemu.scenario.simulate import tell

FIGURES: Final = (
    "fork_copies",
    "cow_copies",
    "tlb_flushes",
    "faults",
    "fork_waited",
    "peak_frames",
)
"""Those of `uemu.matrix.costs.Costs` that grow by the page."""


class Line(NamedTuple):
    """A figure that grows by the page.

    Attributes:
        fixed: what it is with no page at all.
        per_page: what each page adds.
    """

    fixed: int
    per_page: int

    def at(self, nr_pages: int) -> int:
        """The figure for so many pages."""
        return self.fixed + self.per_page * nr_pages


class _LargeWorld(MeasuredWorld):
    """A world that is checked when it is through; to look at every page costs each step a page."""

    def check(self) -> None:
        """Not yet."""


def growth_of(scenario: Scenario, policy: str | PolicyHooks) -> dict[str, Line]:
    """Each of `FIGURES` as a line, in the canonical order.

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
    for figure in FIGURES:
        value = low[figure]
        per_page = (high[figure] - value) // (large - small)
        line = lines[figure] = Line(value - per_page * small, per_page)
        if (line.at(large), line.at(2 * large - small)) != (high[figure], beyond[figure]):
            raise ValueError(
                f"{scenario.name} under {policy}: {figure} does not grow by the page: {value},"
                f" {high[figure]}, {beyond[figure]}"
            )
    return lines


def _costs(scenario: Scenario, policy: str | PolicyHooks) -> dict[str, int]:
    world = _LargeWorld(scenario, policy)
    tell(world)
    world.stop()
    return world.costs.as_json()
