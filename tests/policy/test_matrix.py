"""Every scenario under every kernel: what it shows, simulated and on real processes.

The expectations and their reasons are in `expected`.
"""

from __future__ import annotations

import pytest

from tests.policy.expected import EXPECTED, Expected
from uemu.oracle.violations import KINDS
from uemu.policy.registry import POLICIES
from uemu.scenario.live import run_live
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.simulate import simulate

CELLS = [(scenario, policy) for scenario in SCENARIOS for policy in POLICIES]


def test_every_cell_is_expected_and_has_a_reason() -> None:
    assert [(name, policy) for name in EXPECTED for policy in EXPECTED[name]] == CELLS
    for name in EXPECTED:
        for cell in EXPECTED[name].values():
            assert cell.kinds <= KINDS.keys()
            assert cell.reason


@pytest.mark.parametrize(("scenario", "policy"), CELLS)
def test_simulated(scenario: str, policy: str) -> None:
    expected: Expected = EXPECTED[scenario][policy]
    verdict = simulate(SCENARIOS[scenario], policy)
    assert verdict.kinds == expected.kinds, expected.reason


@pytest.mark.needs_ptrace
@pytest.mark.parametrize(("scenario", "policy"), CELLS)
def test_live_agrees_with_simulated(scenario: str, policy: str) -> None:
    live = run_live(SCENARIOS[scenario], policy)
    simulated = simulate(SCENARIOS[scenario], policy)
    assert live.kinds == simulated.kinds
    assert live.seen == simulated.seen
    assert [v.message for v in live.violations] == [v.message for v in simulated.violations]
