"""What the time of an exploration is spent on.

    python -m tests.bench profile [--top N] [--executions N] [--memory-model tso]
        [SCENARIO] [POLICY]

The profiler makes each call dearer, small ones most: what counts are shares and
numbers of calls. How long a step takes without it is said above the table.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
from collections.abc import Sequence
from time import process_time

from uemu.cli.names import WorldMaker
from uemu.cli.parser import MEMORY_MODELS
from uemu.explore import Exploration, explore
from uemu.scenario.registry import find_scenario


def main(argv: Sequence[str]) -> int:
    """Explore twice, without the profiler and with it, and print the dearest functions."""
    parser = argparse.ArgumentParser("python -m tests.bench profile")
    parser.add_argument("--top", type=int, default=25, metavar="N")
    parser.add_argument("--executions", type=int, default=2_000, metavar="N")
    parser.add_argument("--memory-model", choices=MEMORY_MODELS, default="sc")
    parser.add_argument("scenario", nargs="?", default="two-readers-one-page", metavar="SCENARIO")
    parser.add_argument("policy", nargs="?", default="linux-6.5", metavar="POLICY")
    args = parser.parse_args(argv)
    maker = WorldMaker(find_scenario(args.scenario), args.policy, memory_model=args.memory_model)

    def once() -> Exploration:
        return explore(maker, max_schedules=args.executions)

    start = process_time()
    found = once()
    seconds = process_time() - start
    sys.stdout.write(
        f"{maker}: {found.executions / seconds:.0f} executions/s,"
        f" {seconds / found.steps * 1e6:.1f} us a step,"
        f" {found.steps / found.executions:.0f} steps each\n"
    )
    profiler = cProfile.Profile()
    profiler.runcall(once)
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(args.top)
    return 0
