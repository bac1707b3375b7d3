"""``uemu replay``: one order of steps, run again and drawn."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from uemu.cli.names import WorldMaker, read_schedule
from uemu.cli.output import make_console
from uemu.cli.parser import NotYet, UsageError, add_ipi_wait, add_memory_model, add_policy
from uemu.cli.result_files import ResultFiles, add_result_files, run_json
from uemu.cli.show import show_run
from uemu.explore import ScheduleError
from uemu.explore import replay as run_again

if TYPE_CHECKING:
    from uemu.cli.parser import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "replay",
        help="run a scenario in one order of steps, and draw it",
        description="Run a scenario in one order of steps, and draw it. Where the schedule ends"
        " before the run, the first task that can run goes on. Exit status 1 if there was a"
        " violation.",
    )
    parser.add_argument("scenario", metavar="SCENARIO", help="see: uemu scenarios")
    add_policy(parser, required=True)
    parser.add_argument("schedule", metavar="SCHEDULE", help="uemu1: and a digit for each step")
    add_ipi_wait(parser)
    add_memory_model(parser)
    add_result_files(parser)
    parser.add_argument("--live", action=NotYet, nargs=0)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run it and show it."""
    maker = WorldMaker.from_args(args)
    schedule = read_schedule(args.schedule)
    files = ResultFiles.from_args(args)
    try:
        again = run_again(maker, schedule)
    except ScheduleError as error:
        raise UsageError(f"the schedule does not fit {maker}: {error}") from None
    files.write(maker, [again], lambda: run_json("replay", maker, again))
    show_run(make_console(), maker, again)
    return 1 if again.verdicts else 0
