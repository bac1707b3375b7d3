"""``uemu doctor``: whether this machine can trace; if not, why, and the remedy."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from uemu.cli.output import envelope, make_console, print_json, print_table
from uemu.report.tables import grid

if TYPE_CHECKING:
    from uemu.cli.parser import Subparsers
    from uemu.host.doctor import Finding

HOST_CANNOT = 3


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="say whether this machine can trace; if not, why, and the remedy",
        description="Probe what uemu needs of this machine. Exit status 0 if all is there, else 3.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Examine the machine and print what was found."""
    # Only here: the other commands run where the native helper does not.
    from uemu.host import doctor

    findings = doctor.examine()
    well = all(finding.ok for finding in findings)
    if args.json:
        listed = [
            {
                "name": finding.name,
                "ok": finding.ok,
                "detail": finding.detail,
                "remedy": finding.remedy,
            }
            for finding in findings
        ]
        print_json(envelope("doctor", {"ok": well, "findings": listed}))
    else:
        print_findings(make_console(), findings)
    return 0 if well else HOST_CANNOT


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print a line for each finding, and below it the remedy where one is needed."""
    good, bad = ("+", "x") if console.options.ascii_only else ("✓", "✗")
    table = grid()
    for finding in findings:
        mark, word, style = (good, "ok", "green") if finding.ok else (bad, "missing", "bold red")
        table.add_row(
            Text(mark, style=style),
            Text(word, style=style),
            Text(finding.name, no_wrap=True),
            Text(finding.detail),
        )
        if not finding.ok and finding.remedy:
            table.add_row("", "", Text("remedy", style="bold"), Text(finding.remedy))
    print_table(console, table)
