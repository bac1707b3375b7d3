"""Which cells there are."""

from __future__ import annotations

import pytest

from uemu.matrix.cells import CellName, cell_names
from uemu.policy.registry import POLICIES
from uemu.scenario.registry import SCENARIOS


def test_every_policy_as_it_is_against_every_scenario() -> None:
    names = cell_names()
    assert len(names) == len(set(names)) == len(POLICIES) * len(SCENARIOS)
    assert [name.policy for name in names[: len(POLICIES)]] == list(POLICIES)


def test_rows_and_columns_in_the_order_they_are_named_each_once() -> None:
    policies = ["linux-6.5", "arcangeli-2009-v2:nomb", "linux-6.5"]
    assert cell_names(policies, ["dontfork", "lost-read"]) == [
        CellName("linux-6.5", "dontfork"),
        CellName("arcangeli-2009-v2:nomb", "dontfork"),
        CellName("linux-6.5", "lost-read"),
        CellName("arcangeli-2009-v2:nomb", "lost-read"),
    ]


@pytest.mark.parametrize(
    ("policies", "scenarios", "error"),
    [
        (["linux-6.6"], [], "unknown policy 'linux-6.6'; nearest: linux-6.5"),
        (["linux-6.5:x"], [], "linux-6.5 has no variant 'x'"),
        ([], ["lost-raed"], "unknown scenario 'lost-raed'; nearest: lost-read"),
    ],
)
def test_unknown_names_are_refused(policies: list[str], scenarios: list[str], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        cell_names(policies, scenarios)
