"""How fast the explorer is: schedules and steps per second."""

from __future__ import annotations

from time import perf_counter

from tests.bench.measure import Figure
from uemu.explore import explore
from uemu.scenario.registry import find_scenario
from uemu.scenario.world import SimulatedWorld


def measure() -> list[Figure]:
    """Decide gup-fast-vs-fork, and time it."""
    scenario = find_scenario("gup-fast-vs-fork")
    start = perf_counter()
    found = explore(lambda: SimulatedWorld(scenario, "arcangeli-2009-v2:norecheck"))
    decided = perf_counter() - start
    start = perf_counter()
    clean = explore(lambda: SimulatedWorld(scenario, "linux-6.5"))
    elapsed = perf_counter() - start
    return [
        Figure("gup-fast-vs-fork under norecheck decided", decided, "s", limit=1.0),
        Figure("schedules a second", clean.schedules / elapsed, "/s"),
        Figure("a step", elapsed / (clean.steps + found.steps) * 1e6, "us"),
    ]
