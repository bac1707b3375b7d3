"""A text drawing read back: what its rows say."""

from __future__ import annotations

import re


def told(drawing: str) -> list[tuple[str, str, str, str, str]]:
    """Of each row its number, CPU, function, note and state, without spaces.

    Whether each CPU has a column of its own or all share one.
    """
    lines = drawing.splitlines()
    ruler = next(at for at, line in enumerate(lines) if re.fullmatch(r" +-+(  -+)+", line))
    places = [match.span() for match in re.finditer("-+", lines[ruler])]
    first = max(at for at in range(ruler) if not lines[at]) + 1 if "" in lines[:ruler] else 0
    heads = _joined([_cells(line, places) for line in lines[first:ruler]])
    rows: list[list[list[str]]] = []
    for line in lines[ruler + 1 :]:
        cells = _cells(line, places)
        if cells[0]:
            rows.append([])
        rows[-1].append(cells)
    return [_told(heads, _joined(row)) for row in rows]


def _told(heads: list[str], row: list[str]) -> tuple[str, str, str, str, str]:
    number, *steps, note, state = row
    if heads[1:3] == ["task", "function"]:
        return number, steps[0], steps[1], note, state
    ((cpu, function),) = (
        (name, step) for name, step in zip(heads[1:-2], steps, strict=True) if step
    )
    return number, cpu, function, note, state


def _cells(line: str, places: list[tuple[int, int]]) -> list[str]:
    """The cells of one line; nothing may stand beside the columns."""
    cells = [line[start:end] for start, end in places]
    assert "".join(cells).replace(" ", "") == line.replace(" ", ""), line
    return ["".join(cell.split()) for cell in cells]


def _joined(lines: list[list[str]]) -> list[str]:
    return ["".join(parts) for parts in zip(*lines, strict=True)]
