"""Plain-text columns that fit a given width, in as few lines as that allows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

GAP = "  "
ELLIPSIS = "..."

_PIECE = re.compile(r"[^ _]*_+|[^ _]+ ?| ")
_CUT = 20
"""What a cut counts for, in lines: far more than folding."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column and how it may give way.

    Attributes:
        title: its head.
        least: it is folded to no less than this, in characters; None: never.
        weight: what one more line in a cell of it counts for.
        lines: a cell is cut, with an ellipsis, after so many lines; 0: never.
    """

    title: str
    least: int | None = None
    weight: int = 1
    lines: int = 0


def fold(text: str, width: int, lines: int = 0) -> list[str]:
    """Break a text into lines of at most ``width``: at spaces, after underscores, or anywhere."""
    folded = [""]
    for piece in _PIECE.findall(text):
        if len(folded[-1]) + len(piece.rstrip()) > width and folded[-1]:
            folded.append("")
        rest: str = piece
        while len(rest.rstrip()) > width:
            folded[-1:] = [rest[:width], ""]
            rest = rest[width:]
        folded[-1] += rest
    folded = [line.strip() for line in folded]
    if len(folded) > 1 and not folded[-1]:
        folded.pop()
    if lines and len(folded) > lines:
        last = folded[lines - 1][: max(width - len(ELLIPSIS), 0)].rstrip()
        folded[lines - 1 :] = [last + ELLIPSIS[:width]]
    return folded


def fit(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """The width of each column that costs the fewest lines, or None if they do not fit."""
    best: dict[int, tuple[int, list[int]]] = {-len(GAP): (0, [])}
    for at, column in enumerate(columns):
        options = _options(column, Counter(row[at] for row in rows))
        wider: dict[int, tuple[int, list[int]]] = {}
        for used, (cost, widths) in best.items():
            for own, own_cost in options:
                total = used + len(GAP) + own
                if total > width:
                    continue
                known = wider.get(total)
                if known is None or cost + own_cost < known[0]:
                    wider[total] = cost + own_cost, [*widths, own]
        best = wider
    if not best:
        return None
    return min((cost, total, widths) for total, (cost, widths) in best.items())[2]


def _options(column: Column, cells: Counter[str]) -> list[tuple[int, int]]:
    """The widths worth having, the widest first, and what each costs."""
    natural = max(map(len, (column.title, *cells)))
    options = [(natural, 0)]
    for width in range(natural - 1, (column.least or natural) - 1, -1):
        cost = column.weight * (len(fold(column.title, width)) - 1)
        for cell, times in cells.items():
            lines = len(fold(cell, width))
            is_cut = column.lines and lines > column.lines
            cost += times * column.weight * (_CUT if is_cut else lines - 1)
        if cost == options[-1][1]:
            options.pop()
        options.append((width, cost))
    return options


def lay_out(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], widths: Sequence[int]
) -> list[str]:
    """The lines of a table: heads, dashes, rows; none ends in a space."""
    lines = []
    heads = [column.title for column in columns]
    dashes = ["-" * width for width in widths]
    for number, row in enumerate([heads, dashes, *rows]):
        limits = [0 if number < 2 else column.lines for column in columns]
        cells = [fold(*each) for each in zip(row, widths, limits, strict=True)]
        for at in range(max(len(cell) for cell in cells)):
            parts = [
                (cell[at] if at < len(cell) else "").ljust(width)
                for cell, width in zip(cells, widths, strict=True)
            ]
            lines.append(GAP.join(parts).rstrip())
    return lines
