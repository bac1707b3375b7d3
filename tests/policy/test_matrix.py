"""Every scenario under every kernel and variant: what it shows, simulated and on real processes.

The expectations and their reasons are in `uemu.expected`.
"""

from __future__ import annotations

import pytest

from tests.common import exists
from tests.each import each
from uemu.expected.lookup import expected_cells, find_expected
from uemu.oracle.violations import KINDS
from uemu.policy.registry import POLICIES, all_names
from uemu.scenario.live import run_live
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.simulate import simulate


@each("scenario", SCENARIOS)
def test_every_cell_is_expected_and_has_a_reason(scenario: str) -> None:
    assert set(POLICIES) <= set(expected_cells(scenario)) <= set(all_names())
    for policy, cell in expected_cells(scenario).items():
        assert cell.kinds <= KINDS.keys()
        assert cell.reason
        if not exists(scenario, policy):
            assert not cell.kinds


@each("policy", all_names())
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_simulated(scenario: str, policy: str) -> None:
    if not exists(scenario, policy):
        return
    expected = find_expected(scenario, policy)
    verdict = simulate(SCENARIOS[scenario], policy)
    assert verdict.kinds == expected.kinds, expected.reason


@pytest.mark.once
@pytest.mark.needs_ptrace
@each("policy", POLICIES)
@pytest.mark.parametrize(
    "scenario", [name for name, scenario in SCENARIOS.items() if scenario.not_live is None]
)
def test_live_agrees_with_simulated(scenario: str, policy: str) -> None:
    if not exists(scenario, policy):
        return
    live = run_live(SCENARIOS[scenario], policy)
    simulated = simulate(SCENARIOS[scenario], policy)
    assert live.kinds == simulated.kinds
    assert live.seen == simulated.seen
    assert [v.message for v in live.violations] == [v.message for v in simulated.violations]
