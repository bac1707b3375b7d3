"""``uemu explain``: what a policy, a violation, a scenario is, its source, its remedy."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from uemu.claims.registry import CLAIMS
from uemu.cli.explanations import cells_of, explain, what_is
from uemu.cli.output import (
    envelope,
    make_console,
    print_json,
    print_lines,
    print_wrapped,
    progress_bar,
)
from uemu.matrix.cells import How
from uemu.matrix.result import Cell
from uemu.matrix.share import run_cells

if TYPE_CHECKING:
    from uemu.cli.parser import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "explain",
        help="say what a policy, a violation, a scenario or a claim is, its source, its remedy",
        description="Say what a policy, a violation, a scenario or a claim is, where that stands,"
        " what it shows and where, and what can be done about it. What shows what is run for it,"
        " in the canonical order of each scenario.",
    )
    parser.add_argument(
        "name",
        metavar="NAME",
        help="a policy (with :VARIANT, if any), a violation, a scenario, a claim",
    )
    parser.add_argument(
        "--race", action="store_true", help="with the drawing of its race, if it has one"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run what has to be run, and say it all."""
    # As `uemu claims` takes them.
    name = args.name.upper() if args.name.upper() in CLAIMS else args.name
    explained = explain(name, _cells(name))
    if args.json:
        print_json(envelope("explain", explained.json))
        return 0
    console = make_console()
    told = explained.told if args.race else replace(explained.told, drawing="")
    print_wrapped(console, told.title, style="bold")
    print_lines(console, "", *told.lines(console.width))
    return 0


def _cells(name: str) -> list[Cell]:
    names = cells_of(name)
    how = How(growth=what_is(name) == "scenario")
    cells: list[Cell] = []
    with progress_bar(make_console(stderr=True)) as progress:
        line = progress.add_task(f"{name}: {len(names)} cells", total=len(names))

        def report(cell: Cell) -> None:
            cells.append(cell)
            progress.update(line, advance=1)

        run_cells(names, how, report)
    return cells
