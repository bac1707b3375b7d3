"""Every scenario under every kernel and variant: what it shows, simulated and on real processes.

The expectations and their reasons are in `uemu.expected`.
"""

from __future__ import annotations

import pytest

from tests.common import exists
from uemu.expected.lookup import expected_cells, find_expected
from uemu.oracle.violations import KINDS
from uemu.policy.registry import POLICIES, all_names
from uemu.scenario.live import run_live
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.simulate import simulate

CELLS = [(scenario, policy) for scenario in SCENARIOS for policy in all_names()]
EXISTING = [cell for cell in CELLS if exists(*cell)]
SHOWN_LIVE = [
    (scenario, policy)
    for scenario, policy in EXISTING
    if policy in POLICIES and SCENARIOS[scenario].not_live is None
]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_cell_is_expected_and_has_a_reason(scenario: str) -> None:
    assert set(POLICIES) <= set(expected_cells(scenario)) <= set(all_names())
    for policy, cell in expected_cells(scenario).items():
        assert cell.kinds <= KINDS.keys()
        assert cell.reason
        if not exists(scenario, policy):
            assert not cell.kinds


@pytest.mark.parametrize(("scenario", "policy"), EXISTING)
def test_simulated(scenario: str, policy: str) -> None:
    expected = find_expected(scenario, policy)
    verdict = simulate(SCENARIOS[scenario], policy)
    assert verdict.kinds == expected.kinds, expected.reason


@pytest.mark.needs_ptrace
@pytest.mark.parametrize(("scenario", "policy"), SHOWN_LIVE)
def test_live_agrees_with_simulated(scenario: str, policy: str) -> None:
    live = run_live(SCENARIOS[scenario], policy)
    simulated = simulate(SCENARIOS[scenario], policy)
    assert live.kinds == simulated.kinds
    assert live.seen == simulated.seen
    assert [v.message for v in live.violations] == [v.message for v in simulated.violations]
