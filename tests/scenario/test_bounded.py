"""How little it takes: of the losses that are known, each needs one preemption and no more."""

from __future__ import annotations

import pytest

from tests.common import exists
from uemu.explore import explore
from uemu.scenario.registry import SCENARIOS, find_scenario
from uemu.scenario.world import SimulatedWorld

TWICE = {"fork-copy-tearing", "thp-tearing"}
"""Who holds the page must be stopped before it lets go, and who copies it in the middle."""

MANY = {"clean-swapcache-dirty", "swapcache-false-cow", "ksm-merge-pinned", "thp-lost-read"}
"""Those with so many orders that they take half a minute."""

ONE_AND_TWO = {"swapped-out-pinned-then-fork"}
"""One shows what the parent misses, a second what its child sees."""

WITHOUT = {"both-pinned-for-read", "exit-in-flight"}
"""Those in which a device goes on when its thread does something else, or is gone."""


def policies(number: int, name: str) -> list[str]:
    """The kernel a scenario is run under: one of the two it can be under, in turn."""
    both = [policy for policy in ("linux-2.6.29", "linux-5.9") if exists(name, policy)]
    return [both[number % len(both)]] if both else []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "policy"),
    [(name, policy) for number, name in enumerate(SCENARIOS) for policy in policies(number, name)
     if name not in MANY | ONE_AND_TWO],
)  # fmt: skip
def test_what_every_order_shows_one_preemption_shows(name: str, policy: str) -> None:
    scenario = find_scenario(name)
    every = explore(lambda: SimulatedWorld(scenario, policy))
    bound = 2 if name in TWICE else 1
    one = explore(lambda: SimulatedWorld(scenario, policy), max_preemptions=bound)
    assert every.exhaustive
    assert (one.complete, one.exhaustive) == (True, False)
    assert set(one.verdicts) == set(every.verdicts)
    # The control: no task is left that could go on, nothing is lost.
    none = explore(lambda: SimulatedWorld(scenario, policy), max_preemptions=bound - 1)
    assert none.complete
    assert set(none.verdicts) == (set(every.verdicts) if name in WITHOUT else set())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in SCENARIOS if name in MANY and exists(name, "linux-2.6.29")]
)
def test_where_orders_are_many_two_preemptions_show_nothing_else(name: str) -> None:
    scenario = find_scenario(name)
    one, two = (
        explore(lambda: SimulatedWorld(scenario, "linux-2.6.29"), max_preemptions=bound)
        for bound in (1, 2)
    )
    assert two.schedules > one.schedules
    assert set(two.verdicts) == set(one.verdicts)
