"""Which cells there are, and what is asked of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from uemu.policy.registry import POLICIES, make_policy
from uemu.scenario.registry import SCENARIOS, find_scenario


class CellName(NamedTuple):
    """A cell: ``NAME`` or ``NAME:VARIANT``, and a scenario."""

    policy: str
    scenario: str

    def __str__(self) -> str:
        return f"{self.scenario} under {self.policy}"


@dataclass(frozen=True, slots=True)
class How:
    """What is done in each cell beside the canonical run.

    Attributes:
        live: run it on real processes too, where they can show it.
        explore: run every order of steps, within the bounds that follow.
        growth: find out how the costs of a scale scenario grow with its pages.
        max_schedules: so many orders at most.
        max_seconds: for so long at most.
    """

    live: bool = False
    explore: bool = False
    growth: bool = False
    max_schedules: int = 2_000
    max_seconds: float = 10.0


def cell_names(policies: Iterable[str] = (), scenarios: Iterable[str] = ()) -> list[CellName]:
    """The cells of these policies and scenarios, of all if none is named; scenario by scenario.

    Raises:
        ValueError: a name is unknown; the message names the nearest known ones.
    """
    rows = dict.fromkeys(scenarios) or SCENARIOS
    columns = dict.fromkeys(policies) or POLICIES
    for scenario in rows:
        find_scenario(scenario)
    for policy in columns:
        make_policy(policy)
    return [CellName(policy, scenario) for scenario in rows for policy in columns]
