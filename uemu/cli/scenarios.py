"""``uemu scenarios``: the situations that can be run under a policy."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from uemu.cli.output import envelope, make_console, print_json, print_table
from uemu.report.tables import summary_table
from uemu.scenario.registry import SCENARIOS

if TYPE_CHECKING:
    from uemu.cli.parser import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "scenarios",
        help="list the scenarios, one line each",
        description="List the situations that uemu can run under every policy.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the list."""
    if args.json:
        listed = [{"name": each.name, "summary": each.summary} for each in SCENARIOS.values()]
        print_json(envelope("scenarios", {"scenarios": listed}))
    else:
        # A summary is "the actions in order; if RULE is missed, WHO sees WHAT".
        actions = {each.name: each.summary.partition("; ")[0] for each in SCENARIOS.values()}
        print_table(make_console(), summary_table(actions))
    return 0
