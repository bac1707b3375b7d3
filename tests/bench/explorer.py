"""How fast the explorer is: schedules and steps per second, and what a second process is worth."""

from __future__ import annotations

import resource
from time import perf_counter

from tests.bench.measure import Figure
from uemu.cli.names import WorldMaker
from uemu.cli.workers import in_processes
from uemu.explore import explore
from uemu.scenario.registry import find_scenario


def measure() -> list[Figure]:
    """Decide gup-fast-vs-fork, and time it; reverse-race alone and with two processes."""
    scenario = find_scenario("gup-fast-vs-fork")
    start = perf_counter()
    found = explore(WorldMaker(scenario, "arcangeli-2009-v2:norecheck"))
    decided = perf_counter() - start
    start = perf_counter()
    clean = explore(WorldMaker(scenario, "linux-6.5"))
    elapsed = perf_counter() - start
    return [
        Figure("gup-fast-vs-fork under norecheck decided", decided, "s", limit=1.0),
        Figure("schedules a second", clean.schedules / elapsed, "/s"),
        Figure("a step", elapsed / (clean.steps + found.steps) * 1e6, "us"),
        *_two_jobs(),
    ]


def _two_jobs() -> list[Figure]:
    """Their start is in it, and the time that one process searches alone before."""
    maker = WorldMaker(find_scenario("reverse-race"), "linux-6.5")
    seconds, cpu = [], []
    for jobs in (1, 2):
        start, cpu_start = perf_counter(), _cpu_seconds()
        assert explore(maker, workers=in_processes(jobs)).exhaustive
        seconds.append(perf_counter() - start)
        cpu.append(_cpu_seconds() - cpu_start)
    what = "reverse-race under linux-6.5, --jobs 2"
    return [
        # How much sooner depends on how many CPUs are idle: no limit.
        Figure(f"{what}: until it is decided", seconds[1], "s", "--jobs 1", seconds[0]),
        Figure(f"{what}: time of CPUs", cpu[1], "s", "--jobs 1", cpu[0], limit=1.5),
    ]


def _cpu_seconds() -> float:
    """Of this process and the children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
