"""How fast the explorer is: schedules a second, what a step costs, what a second process is worth.

Where the time goes: python -m tests.bench profile. Which scenarios are decided in
how long: python -m tests.bench survey.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter, process_time

from tests.bench.measure import Figure
from uemu.cli.names import WorldMaker
from uemu.cli.workers import in_processes
from uemu.explore import Execution, explore
from uemu.scenario.registry import find_scenario

ROUNDS = 5
RACE = "gup-fast-vs-fork", "arcangeli-2009-v2:norecheck"
LONG = "reverse-race", "linux-6.5"


def measure() -> list[Figure]:
    """Decide a small world and a long one."""
    return [*_decided(), *_steps(), *_two_jobs()]


def _maker(cell: tuple[str, str]) -> WorldMaker:
    return WorldMaker(find_scenario(cell[0]), cell[1])


def _decided() -> list[Figure]:
    """From Enter to the exit status; and how much of that is the exploration."""
    main = "import sys; from uemu.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", main, "explore", RACE[0], "--policy", RACE[1]]

    def typed() -> None:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        assert (done.returncode, "lost-dma-write" in done.stdout) == (1, True)

    what = f"{RACE[0]} under norecheck decided"
    total = _median(perf_counter, typed)
    alone = _median(perf_counter, lambda: explore(_maker(RACE)))
    return [
        Figure(f"{what}, from Enter", total, "s", limit=1.0),
        Figure(f"{what}, the exploration", alone, "s", "from Enter", total),
    ]


def _steps() -> list[Figure]:
    """What a step costs that is explored, and one that is only taken.

    Most steps of an exploration repeat the beginning of an execution, which cannot be
    copied. They are taken only; the others are checked, too, and compared with those
    before. The time of all of it, worlds included, is divided by the steps of both sorts.
    """
    maker = _maker(LONG)
    found = explore(maker)
    seconds = _median(process_time, lambda: explore(maker), rounds=3)

    def made() -> None:
        for _ in range(100):
            Execution(maker)

    world = _median(process_time, made) / 100
    steps = 0

    def walked() -> None:
        nonlocal steps
        steps = 0
        for _ in range(100):
            steps += _walk(maker)

    walk = _median(process_time, walked) / 100 - world
    bare = walk / (steps / 100) * 1e6
    explored = seconds / found.steps * 1e6
    long = f"{LONG[0]} under {LONG[1]}"
    return [
        Figure(f"schedules a second, {long}", found.schedules / seconds, "/s"),
        Figure("a step of one execution, alone", bare, "us"),
        Figure("a step of an exploration", explored, "us", "alone", bare, 3.0),
        Figure("a world made and set up", world * 1e6, "us", "a step alone", bare),
    ]


def _walk(maker: WorldMaker) -> int:
    """Take the steps of one execution, each by whoever can, and look at nothing else."""
    execution = Execution(maker)
    while runnable := execution.runnable():
        execution.advance(runnable[0])
    return execution.steps


def _median(
    clock: Callable[[], float], action: Callable[[], object], rounds: int = ROUNDS
) -> float:
    durations = []
    for _ in range(rounds):
        start = clock()
        action()
        durations.append(clock() - start)
    return statistics.median(durations)


def _two_jobs() -> list[Figure]:
    """Their start is in it, and the time that one process searches alone before."""
    maker = WorldMaker(find_scenario("two-readers-one-page"), "linux-6.5")
    seconds, cpu = [], []
    for jobs in (1, 2):
        start, cpu_start = perf_counter(), _cpu_seconds()
        assert explore(maker, workers=in_processes(jobs)).exhaustive
        seconds.append(perf_counter() - start)
        cpu.append(_cpu_seconds() - cpu_start)
    what = "two-readers-one-page under linux-6.5, --jobs 2"
    return [
        # How much sooner depends on how many CPUs are idle: no limit.
        Figure(f"{what}: until it is decided", seconds[1], "s", "--jobs 1", seconds[0]),
        Figure(f"{what}: time of CPUs", cpu[1], "s", "--jobs 1", cpu[0], limit=1.5),
    ]


def _cpu_seconds() -> float:
    """Of this process and the children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
