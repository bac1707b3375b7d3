"""A run as a table: what the text drawing and the picture show, for a page.

A column per CPU, a box for each step in the column of who takes it, and a line
from box to box: a faint one where others ran in between. The style is
``drawing.css``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from uemu.report.drawing import DrawnStep, cpus, ends
from uemu.report.html.page import render_part

STEP, FIRST, LAST, ONLY = "step", "step first", "step last", "step first last"
"""A step in the column of its CPU: one of several, or where their line begins or ends."""

LINE, NOTHING = "line", ""
"""What is in the column of another CPU: the line that goes past, or nothing."""


@dataclass(frozen=True, slots=True)
class Row:
    """A step, or the steps that are left out of a very long run.

    Attributes:
        cells: what is in the column of each CPU.
        step: None for those left out.
        missing: how many these are.
    """

    cells: Sequence[str]
    step: DrawnStep | None
    missing: int = 0


def drawing_table(records: Sequence[DrawnStep]) -> Markup:
    """The table of a run."""
    return render_part("drawing.html", cpus=list(cpus(records).values()), rows=rows(records))


def rows(records: Sequence[DrawnStep]) -> list[Row]:
    """The rows of the table."""
    first, missing, last = ends(records)
    shown: list[DrawnStep | None] = [*first, *([None] if missing else []), *last]
    columns = [_column(shown, task) for task in cpus(records)]
    return [
        Row(cells, step, missing if step is None else 0)
        for step, *cells in zip(shown, *columns, strict=True)
    ]


def _column(shown: Sequence[DrawnStep | None], task: int) -> list[str]:
    """What stands in the column of a CPU, row by row."""
    column = [NOTHING] * len(shown)
    taken = [at for at, step in enumerate(shown) if step and step.task_index == task]
    if taken:
        first, last = taken[0], taken[-1]
        column[first : last + 1] = [LINE] * (last + 1 - first)
        for at in taken:
            column[at] = STEP
        column[first], column[last] = (FIRST, LAST) if first < last else (ONLY, ONLY)
    return column
