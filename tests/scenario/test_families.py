"""Every scenario belongs to one family."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from uemu.scenario.families import FAMILIES, OTHERS, by_family
from uemu.scenario.registry import SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_is_in_one_family(scenario: str) -> None:
    families = [
        family
        for family, patterns in FAMILIES.items()
        if any(fnmatchcase(scenario, pattern) for pattern in patterns.split())
    ]
    assert len(families) == 1, f"give {scenario} one family in uemu/scenario/families.py"


def test_no_name_of_a_family_is_left_of_a_scenario_that_is_gone() -> None:
    names = {name for patterns in FAMILIES.values() for name in patterns.split()}
    assert {name for name in names if "*" not in name} <= SCENARIOS.keys()


def test_families_keep_their_order_and_their_scenarios_theirs() -> None:
    names = ["wipeonfork", "made-up", "child-corrupted", "dontfork", "lost-read"]
    assert by_family(names) == {
        "device writes": ["child-corrupted", "lost-read"],
        "remedies": ["wipeonfork", "dontfork"],
        OTHERS: ["made-up"],
    }
