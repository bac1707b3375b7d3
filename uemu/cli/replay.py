"""``uemu replay``: one order of steps, run again and drawn."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from uemu.cli.names import WorldMaker, read_schedule
from uemu.cli.output import make_console, print_lines
from uemu.cli.parser import UsageError, add_ipi_wait, add_memory_model, add_policy
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
    parser.add_argument(
        "--live",
        action="store_true",
        help="take the same steps on real processes too, stale TLB entries included, and show what"
        " they saw",
    )
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
    told: list[str] = []
    live: dict[str, Any] = {}
    if args.live:
        # Needs the native helper, which nothing else here does.
        from uemu.cli.live_replay import live_json, live_lines, replay_live

        done = replay_live(maker, again.schedule)
        told, live = [*live_lines(done), ""], {"live": live_json(done)}
    files.write(maker, [again], lambda: {**run_json("replay", maker, again), **live})
    console = make_console()
    print_lines(console, *told)
    show_run(console, maker, again)
    return 1 if again.verdicts else 0
