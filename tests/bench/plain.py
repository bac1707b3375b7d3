"""Whether reduction finds what every order shows, wherever every order can be run.

A cell is a scenario under a policy, sequentially consistent. It is *small* if no
more than so many schedules, 100,000, are all there are. For the small ones the
verdicts of both searches are compared; the others are counted.

    python -m tests.bench plain [--max-schedules N] [--jobs N] [NAME]...
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from time import monotonic

from rich.console import Console
from rich.table import Table

from tests.bench.survey import makers, progress_bar
from uemu.cli.output import print_table
from uemu.cli.workers import in_processes, usable_cpus
from uemu.explore import explore

MAX_SCHEDULES = 100_000


def main(argv: Sequence[str]) -> int:
    """Compare, and print the table; 1 if the verdicts of a cell differ."""
    parser = argparse.ArgumentParser("python -m tests.bench plain")
    parser.add_argument("--max-schedules", type=int, default=MAX_SCHEDULES, metavar="N")
    parser.add_argument("--jobs", type=int, default=usable_cpus(), metavar="N")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args(argv)
    start, small, different = monotonic(), 0, 0
    table = Table("scenario", "policy", "every order", "reduced", "verdicts", "", box=None)
    todo = list(makers(["sc"], args.names))
    with progress_bar() as progress:
        line = progress.add_task("", total=len(todo))
        for maker in todo:
            progress.update(line, description=str(maker))
            every = explore(
                maker,
                reduction=False,
                max_schedules=args.max_schedules,
                workers=in_processes(args.jobs),
            )
            progress.advance(line)
            if not every.exhaustive:
                continue
            reduced = explore(maker, workers=in_processes(args.jobs))
            same = reduced.exhaustive and set(reduced.verdicts) == set(every.verdicts)
            small, different = small + 1, different + (not same)
            table.add_row(maker.scenario.name, maker.policy, str(every.schedules),
                          str(reduced.schedules), " ".join(sorted(every.verdicts)),
                          "the same" if same else "DIFFERENT")  # fmt: skip
    console = Console(width=120)
    print_table(console, table)
    console.print(
        f"{small} of {len(todo)} cells are small; {different} of them differ;"
        f" {monotonic() - start:.0f} s on {args.jobs} cores"
    )
    return 1 if different else 0
