"""``uemu policies``: the kernels whose rules there are."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from uemu.cli.output import envelope, make_console, print_json, print_table
from uemu.policy.registry import NEWEST, POLICIES
from uemu.report.tables import policy_table

if TYPE_CHECKING:
    from uemu.cli.parser import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "policies",
        help="list the policies, one line each",
        description="List the kernels whose rules uemu knows, with their variants.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the list."""
    if args.json:
        listed = [
            {
                "name": policy.name,
                "year": policy.year,
                "summary": policy.summary,
                "variants": dict(policy.variants),
            }
            for policy in POLICIES.values()
        ]
        print_json(envelope("policies", {"newest": NEWEST, "policies": listed}))
    else:
        print_table(make_console(), policy_table(POLICIES.values()))
    return 0
