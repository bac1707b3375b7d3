"""A question about a cost: a figure of one run, and what a claim says it is.

The run is the canonical one of its scenario; what is counted is `uemu.matrix.costs`.
"""

from __future__ import annotations

import errno
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from uemu.claims.question import Answer, Swap
from uemu.claims.where import Where
from uemu.errors import Fault
from uemu.explore import Schedule, replay
from uemu.matrix.costs import MeasuredWorld
from uemu.scenario.registry import find_scenario
from uemu.scenario.simulate import tell
from uemu.step import Step

RELATIONS: Final[dict[str, Callable[[int, int], bool]]] = {
    "=": operator.eq,
    "at least": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Measure:
    """What a figure is, or by how much it is more than under another policy.

    Attributes:
        figure: a field of `uemu.matrix.costs.Costs`, `SLOW_GUPS` or `NO_MEMORY`.
        relation: a key of `RELATIONS`, between the figure and ``value``.
        base: the policy whose figure is subtracted, or "".
        pages: the size of a scale scenario; 0 is the one that it goes by.
        frames: how many page frames there are; 0 is enough of them.
    """

    where: Where
    figure: str
    relation: str
    value: int
    base: str = ""
    pages: int = 0
    frames: int = 0

    def ask(self) -> Answer:
        """Run once, or once under each policy."""
        found, schedule = self._measured(self.where)
        of_size = f", {self.pages} pages" if self.pages else ""
        of_size += f" in {self.frames} frames" if self.frames else ""
        text = f"{FIGURES[self.figure]} in {self.where}{of_size}: {found}"
        if self.base:
            less, _ = self._measured(replace(self.where, policy=self.base))
            text += f", and {less} under {self.base}"
            found -= less
        holds = RELATIONS[self.relation](found, self.value)
        # A schedule is for the scenario as it goes by its name.
        shown = None if self.pages or self.frames else str(schedule)
        return Answer(holds, text, self.where, 1, False, shown, (self.figure,))

    def _measured(self, where: Where) -> tuple[int, Schedule]:
        """The figure of a run, and the run."""
        scenario = find_scenario(where.scenario)
        if self.pages and scenario.at is not None:
            scenario = scenario.at(self.pages)
        if self.frames:
            scenario = replace(scenario, frame_limit=self.frames)
        world = MeasuredWorld(scenario, where.policy)
        refused = _tell_to_the_end_of_memory(world)
        schedule = world.schedule
        if self.figure == NO_MEMORY:
            return refused, schedule
        if self.figure == SLOW_GUPS:
            records = replay(where, schedule).records
            return sum(_takes_mmap_lock(each.step) for each in records), schedule
        figure: int = getattr(world.costs, self.figure)
        return figure, schedule

    def instead(self, other: Swap) -> Measure:
        """The same question about another world."""
        return replace(self, where=other.where(self.where))


SLOW_GUPS: Final = "slow_gups"

NO_MEMORY: Final = "no_memory"

FIGURES: Final = {
    NO_MEMORY: "calls that found no page frame",
    SLOW_GUPS: "calls of gup that had to take mmap_lock",
    "fork_copies": "pages copied by fork",
    "cow_copies": "pages copied to break COW",
    "gup_fast_atomics": "locked instructions in gup-fast",
    "gup_fast_barriers": "memory barriers in gup-fast",
    "peak_frames": "frames in use at the same time",
    "fork_waited": "steps that fork waited",
}
"""The figures that claims are about, in words."""


def _tell_to_the_end_of_memory(world: MeasuredWorld) -> int:
    """Run it; how many calls found no frame: the first ends the run."""
    try:
        tell(world)
    except Fault as fault:
        if fault.errno != errno.ENOMEM:
            raise
        return 1
    return 0


def _takes_mmap_lock(step: Step) -> bool:
    """Whether it is that of gup, where gup-fast was not enough."""
    return step.fn == "get_user_pages" and step.what.endswith("for reading")


def costs(
    figure: str,
    relation: str,
    value: int,
    scenario: str,
    policy: str,
    *,
    base: str = "",
    pages: int = 0,
    frames: int = 0,
) -> Measure:
    """A figure is what a claim says; ``base``: beyond what it is under another policy."""
    return Measure(Where(scenario, policy), figure, relation, value, base, pages, frames)
