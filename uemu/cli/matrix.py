"""``uemu matrix``: every policy against every scenario, and what is not as expected.

The object that ``--json`` writes has ``interrupted``, ``seconds``, ``disagreements``,
objects of ``policy``, ``scenario`` and ``differs``: in what real processes were not
as simulated, and ``cells``, in the order of the table, objects of

policy, scenario  which cell
status            ``run``, or ``not-applicable``; ``reason`` says why
verdicts          what was violated in any order that was run
expected          what the canonical order is expected to violate
schedules         how many orders were run; ``exhaustive``: those stand for all
schedule          an order that shows a violation, or null
live              null, or an object of ``verdicts``: what real processes showed
costs             figures of the canonical run, by the names of `uemu.matrix.costs`; of a
                  scale scenario also ``growth``: the figures ``measured`` at some sizes,
                  ``per_page``, and ``extrapolated``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from uemu.cli.main import INTERRUPTED
from uemu.cli.output import (
    JsonFile,
    TextFile,
    check_apart,
    envelope,
    make_console,
    print_lines,
    print_table,
    print_wrapped,
    progress_bar,
)
from uemu.cli.parser import UsageError, error_text, positive
from uemu.cli.workers import Processes, add_workers, make_workers
from uemu.matrix.cells import CellName, How, cell_names
from uemu.matrix.result import Cell
from uemu.matrix.share import run_cells
from uemu.policy.registry import all_names
from uemu.report.matrix_table import Shown, matrix_tables, policy_legend, sign_lines
from uemu.report.story import verdict_text

if TYPE_CHECKING:
    from uemu.cli.parser import Subparsers

DIFFERS = 1
DISAGREES = 70

HEAD_START_S = 2.0
"""So long one process runs alone: to start others takes longer than most cells."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "matrix",
        help="run every scenario under every policy, in one table",
        description="Run every scenario under every policy, and compare what each shows with what"
        " the sources say it does. Exit status 1 if anything differs; 70 if real processes"
        " do something else than the model.",
    )
    beside = parser.add_mutually_exclusive_group()
    beside.add_argument(
        "--live", action="store_true", help="run each on real processes too, where they can show it"
    )
    beside.add_argument(
        "--explore", action="store_true", help="run each in every order of steps too"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--policy",
        action="append",
        metavar="NAME",
        help="these columns alone; NAME or NAME:VARIANT, may be said again",
    )
    which.add_argument(
        "--variants", action="store_true", help="a column for each policy's variants too"
    )
    parser.add_argument(
        "--scenario", action="append", metavar="NAME", help="these rows alone; may be said again"
    )
    parser.add_argument(
        "--max-schedules",
        type=positive,
        metavar="N",
        help=f"with --explore: at most N orders of each cell (default: {How().max_schedules})",
    )
    add_workers(parser)
    parser.add_argument("--json", metavar="FILE", help="write the result there, as one object")
    parser.add_argument(
        "--html",
        metavar="FILE",
        help="write a page for a browser there: the table, and behind each cell its story and"
        " drawing",
    )
    parser.set_defaults(run=run)


@dataclass(slots=True)
class Matrix:
    """The cells that were run, and those that were asked for.

    Attributes:
        seconds: what it took.
        interrupted: whether a person ended it.
    """

    names: Sequence[CellName]
    how: How
    cells: dict[CellName, Cell] = field(default_factory=dict)
    seconds: float = 0.0
    interrupted: bool = False

    def in_order(self) -> list[Cell]:
        """The cells that were run, in the order of the table."""
        return [self.cells[name] for name in self.names if name in self.cells]


def run(args: argparse.Namespace) -> int:
    """Run the cells, and show what became of them."""
    if args.max_schedules is not None and not args.explore:
        raise UsageError("--max-schedules means nothing without --explore: say both, or neither")
    try:
        names = cell_names(all_names() if args.variants else args.policy or (), args.scenario or ())
    except ValueError as error:
        raise UsageError(str(error)) from None
    how = How(
        live=args.live,
        explore=args.explore,
        growth=True,
        max_schedules=args.max_schedules or How().max_schedules,
    )
    check_apart(args, "json", "html")
    file = None if args.json is None else JsonFile(args.json)
    page = None if args.html is None else TextFile(args.html)
    matrix = Matrix(names, how)
    _fill(matrix, args)
    try:
        _show(matrix)
    finally:
        # Also when nobody reads the output to its end.
        if file is not None:
            file.write(as_json(matrix))
        if page is not None:
            page.write_text(as_html(matrix))
    if matrix.interrupted:
        return INTERRUPTED
    if not all(cell.as_live for cell in matrix.cells.values()):
        return DISAGREES
    return 0 if all(cell.as_expected for cell in matrix.cells.values()) else DIFFERS


def _fill(matrix: Matrix, args: argparse.Namespace) -> None:
    """Run the cells; a terminal sees how far it is."""
    start = monotonic()
    workers = make_workers(args)
    if workers is not None:
        workers = replace(workers, head_start_s=HEAD_START_S)
    total = len(matrix.names)
    with progress_bar(make_console(stderr=True)) as progress:
        line = progress.add_task(f"{total} cells", total=total)

        def report(cell: Cell) -> None:
            matrix.cells[cell.name] = cell
            progress.update(
                line,
                advance=1,
                description=f"{len(matrix.cells)} of {total} cells: {cell.name}",
            )

        try:
            run_cells(matrix.names, matrix.how, report, workers=workers, abort=_abort)
        except KeyboardInterrupt:
            matrix.interrupted = True
    matrix.seconds = monotonic() - start


def _abort(executor: Executor) -> None:
    if isinstance(executor, Processes):
        executor.kill()


# Showing ------------------------------------------------------------------------------------


def _show(matrix: Matrix) -> None:
    console = make_console()
    policies = list(dict.fromkeys(name.policy for name in matrix.names))
    scenarios = list(dict.fromkeys(name.scenario for name in matrix.names))
    shown = {
        (policy, scenario): _shown(cell, matrix.how)
        for (policy, scenario), cell in matrix.cells.items()
    }
    print_table(console, policy_legend(policies, console.width))
    for table in matrix_tables(shown, policies, scenarios, console.width):
        print_lines(console, "")
        print_table(console, table)
    unrun = len(matrix.cells) < len(matrix.names)
    print_lines(console, "", *sign_lines(shown.values(), console.width, unrun=unrun), "")
    print_wrapped(console, _counts(matrix))
    for cell in matrix.in_order():
        if not cell.as_expected:
            print_lines(console, "")
            print_wrapped(console, _difference(cell), style="bold red")
            print_wrapped(console, f"expected: {cell.expected.reason}", "  ")
    told = [line for cell in matrix.in_order() if not cell.as_live for line in _disagreement(cell)]
    if told:
        make_console(stderr=True).file.write(
            error_text("real processes did something else than the model: a mistake in uemu", *told)
        )


def _shown(cell: Cell, how: How) -> Shown:
    return Shown(
        cell.canonical,
        cell.verdicts - cell.canonical,
        applies=cell.reason is None,
        bounded=how.explore and cell.reason is None and not cell.exhaustive,
        wrong=not (cell.as_expected and cell.as_live),
    )


def _counts(matrix: Matrix) -> str:
    """How many cells there are, of each sort, and what it took; in a sentence."""
    cells = list(matrix.cells.values())
    ran = [cell for cell in cells if cell.reason is None]
    parts = [f"{len(ran)} run", f"{len(cells) - len(ran)} not applicable"]
    if matrix.how.live:
        live = sum(cell.live is not None for cell in ran)
        parts.append(f"{live} on real processes, {len(ran) - live} simulated only")
        parts.append(f"{sum(not cell.as_live for cell in ran)} disagree")
    if matrix.how.explore:
        parts.append(f"{sum(cell.exhaustive for cell in ran)} exhaustive")
        parts.append(f"{sum(cell.schedules for cell in ran)} schedules")
    if matrix.interrupted:
        parts.append(f"interrupted, {len(matrix.names) - len(cells)} not run")
    differ = sum(not cell.as_expected for cell in cells)
    what = "1 differs" if differ == 1 else f"{differ or 'none'} differ"
    total = "1 cell" if len(matrix.names) == 1 else f"{len(matrix.names)} cells"
    return f"{total} in {matrix.seconds:.1f} s: {'; '.join(parts)}; {what} from what is expected"


def _difference(cell: Cell) -> str:
    shown = f"{verdict_text(cell.canonical)}, not {verdict_text(cell.expected.kinds)}"
    return cell.unruly or f"{cell.name}: {shown}"


def _disagreement(cell: Cell) -> list[str]:
    assert cell.live is not None
    return [f"{cell.name}: {cell.live.differs}"]


def as_json(matrix: Matrix) -> dict[str, Any]:
    """The result for programs."""
    return envelope(
        "matrix",
        {
            "interrupted": matrix.interrupted,
            "seconds": round(matrix.seconds, 3),
            "disagreements": [
                {**cell.name._asdict(), "differs": cell.live.differs}
                for cell in matrix.in_order()
                if cell.live is not None and cell.live.differs
            ],
            "cells": [cell.as_json() for cell in matrix.in_order()],
        },
    )


def as_html(matrix: Matrix) -> str:
    """The result as a page."""
    # Templates take their time to load, and few ask for a page.
    from uemu.cli.matrix_page import page_of

    cells = {name: (cell, _shown(cell, matrix.how)) for name, cell in matrix.cells.items()}
    return page_of(matrix.names, cells, _counts(matrix), live=matrix.how.live)
