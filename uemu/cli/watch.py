"""``uemu watch``: a program under a kernel's rules, each decision shown as it is made."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from uemu.cli.output import JsonFile, make_console
from uemu.cli.parser import UsageError, add_policy, number_from
from uemu.cli.run import run_and_report
from uemu.cli.run_options import SIDE_EFFECTS, add_run_options, program_of
from uemu.cli.watchers import LineWatcher, ScreenWatcher, Watcher
from uemu.policy.registry import NEWEST

if TYPE_CHECKING:
    from uemu.cli.parser import Subparsers

DESCRIPTION = (
    "Run a program as `uemu run` does and show meanwhile who maps which frame, what devices hold,"
    " and each decision of the kernel in a line: on a terminal as a picture below the program's"
    " output, else as lines on stderr. The report follows at the end. A program that draws on the"
    " terminal itself is better watched with its output in a file."
)


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "watch",
        help="run a program and see each decision of the kernel as it is made",
        description=DESCRIPTION,
        epilog=SIDE_EFFECTS,
        usage="uemu watch [OPTION]... [--] PROGRAM [ARG]...",
    )
    add_policy(parser, default=NEWEST)
    parser.add_argument(
        "--delay-ms",
        type=number_from(0),
        metavar="N",
        help="let everything stand still for N milliseconds after each decision (default: 150 on"
        " a terminal for the first 100 of them, else 0)",
    )
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run it, watched, and report."""
    program = program_of(args)
    if args.trace is not None:
        raise UsageError("watch shows what --trace writes: take `uemu run --trace FILE`")
    file = JsonFile(args.json) if args.json is not None else None
    return run_and_report(args, program, file, make_watcher(args, program))


def make_watcher(args: argparse.Namespace, program: list[str]) -> Watcher:
    """A picture where somebody sees one, else lines."""
    title = f"{program[0]} under {args.policy}"
    # Nothing is drawn anew on a terminal that cannot go back.
    if sys.stderr.isatty() and not make_console(stderr=True).is_dumb_terminal:
        return ScreenWatcher(title, args.delay_ms)
    return LineWatcher(title, args.delay_ms or 0)
