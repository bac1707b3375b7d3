"""What can be done about a violation: there is advice for each, and what is said to help does."""

from __future__ import annotations

import pytest

from uemu.oracle.remedies import ADVICE, Remedy
from uemu.oracle.violations import KINDS
from uemu.policy.registry import POLICIES, make_policy
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.simulate import simulate

SHOWN = [
    (kind, remedy)
    for kind, advice in ADVICE.items()
    for remedy in advice.remedies
    if remedy.scenario
]


def test_there_is_advice_for_every_kind() -> None:
    assert list(ADVICE) == list(KINDS)
    for advice in ADVICE.values():
        assert advice.who.endswith(".")
        assert advice.remedies
        for remedy in advice.remedies:
            assert remedy.text.endswith(".")
            assert remedy.source


@pytest.mark.parametrize(
    ("kind", "remedy"), SHOWN, ids=[f"{kind}-{remedy.name}" for kind, remedy in SHOWN]
)
def test_no_kernel_shows_the_violation_where_its_remedy_is_taken(kind: str, remedy: Remedy) -> None:
    scenario = SCENARIOS[remedy.scenario]
    ran = [name for name in POLICIES if scenario.not_applicable(make_policy(name)) is None]
    assert ran
    assert not [name for name in ran if kind in simulate(scenario, name).kinds]


def test_without_the_remedy_the_same_story_shows_it() -> None:
    assert "lost-dma-write" in simulate(SCENARIOS["lost-read"], "linux-2.6.29").kinds
    assert "lost-dma-write" in simulate(SCENARIOS["dofork-again"], "linux-2.6.29").kinds


def test_whole_pages_are_no_remedy_for_a_child_that_sees_the_device() -> None:
    seen = ADVICE["dma-write-seen-by-other"].remedies
    assert "whole pages" not in [remedy.name for remedy in seen]
    kinds = simulate(SCENARIOS["lost-read-aligned"], "linux-2.6.29").kinds
    assert kinds == {"dma-write-seen-by-other"}
