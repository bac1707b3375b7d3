"""A run as a page: what was violated and what to do, then every decision in order.

Beside each decision is a drawing of that moment: a bar for each transfer in
flight, a line for each process that lives, a dot where it happened. Put below
one another they are the whole run's. What they say is in words, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from uemu.events import Frame
from uemu.live.program.result import RunResult
from uemu.oracle.violations import StoryLine, Violation
from uemu.report.advice_lines import buffer_text, fits_of
from uemu.report.folding import Fold, fold, fold_text
from uemu.report.html.page import render_page
from uemu.report.run_report import coverage_lines, end_lines, prefixed, suppressed_lines
from uemu.report.stack_lines import stack_lines
from uemu.report.story import head_text, line_text, verdict_text
from uemu.report.timeline import VIOLATION, Row, Timeline

STEP: Final = 14
"""The width of a column of the drawings, in pixels."""

HEIGHT: Final = 28
"""The height of a row, in pixels."""

MOST_PROCESSES: Final = 16
MOST_FLIGHTS: Final = 12
"""Columns there are at most; what is further right is in words alone."""

COLOURS: Final = 6


class Bar(NamedTuple):
    """A piece of a line or bar: where, and which part of a row's height."""

    x: int
    y1: int
    y2: int
    style: str
    says: str


class Branch(NamedTuple):
    """A line from a process to its child."""

    x1: int
    x2: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """A row with its drawing.

    Attributes:
        dot: where it happens, from the left.
        says: the drawing in words.
    """

    row: Row
    bars: Sequence[Bar]
    branch: Branch | None
    dot: int
    says: str

    @property
    def is_violation(self) -> bool:
        """Whether a property was violated."""
        return self.row.word == VIOLATION


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a story, its stack below it."""

    text: str
    stack: Sequence[str]


@dataclass(frozen=True, slots=True)
class Told:
    """Violations that share a story, for the page.

    Attributes:
        heads: what was violated.
        row: the number of the row where that was seen, or None.
        more: how many more are like it, in words, or nothing.
    """

    heads: Sequence[str]
    row: int | None
    story: Sequence[Line]
    buffer: str
    remedies: Sequence[tuple[str, str]]
    more: str


def timeline_page(
    timeline: Timeline,
    result: RunResult,
    *,
    program: str,
    policy: str,
    replay: str,
) -> str:
    """The document.

    Args:
        program: its command line.
        replay: the command that runs it again.
    """
    rows = timeline.rows
    flights = _most([at for row in rows for at, _ in row.flights], MOST_FLIGHTS)
    processes = _most([at for row in rows for at in row.alive], MOST_PROCESSES)
    drawn = [
        _drawn(row, rows[index - 1] if index else None, flights, processes)
        for index, row in enumerate(rows)
    ]
    acting = {row.who for row in rows}
    kinds = {violation.kind for violation in result.violations}
    covered = [
        *end_lines(result),
        *coverage_lines(result.stats, is_clean=not kinds),
        *suppressed_lines(result.suppressed),
    ]
    (bare,) = prefixed("")
    return render_page(
        "timeline.html",
        styles=("timeline.css",),
        scripts=("timeline.js",),
        program=program,
        kernel=policy,
        verdict=verdict_text(kinds),
        is_clean=not kinds,
        covered=" ".join(line.removeprefix(bare).strip() + "." for line in covered),
        notes=result.notes,
        violations=[_told(each, rows) for each in fold(result.violations)],
        rows=drawn,
        left_out=timeline.left_out,
        names={letter: name for letter, name in timeline.names.items() if letter in acting},
        width=(flights + processes + 1) * STEP,
        device=(flights + processes) * STEP + STEP // 2,
        height=HEIGHT,
        words=list(dict.fromkeys(row.word for row in rows)),
        replay=replay,
    )


def _most(columns: Sequence[int], most: int) -> int:
    return min(max(columns, default=-1) + 1, most)


def _drawn(row: Row, before: Row | None, flights: int, processes: int) -> Drawn:
    def column(place: int | None) -> int:
        if place is None:
            return (flights + processes) * STEP + STEP // 2
        return (flights + min(place, processes - 1)) * STEP + STEP // 2

    middle = HEIGHT // 2
    bars = [
        Bar(
            at * STEP + STEP // 2,
            middle if io in row.starts else 0,
            middle if io in row.ends else HEIGHT,
            f"flight c{at % COLOURS}",
            f"io {io} in flight",
        )
        for at, io in row.flights
        if at < flights
    ]
    lived = set(before.alive) if before is not None else set()
    for place in sorted({*row.alive, *lived}):
        if place < processes:
            is_new = place not in lived or place == row.child
            is_gone = place not in row.alive
            bars.append(
                Bar(
                    column(place),
                    middle if is_new else 0,
                    middle if is_gone else HEIGHT,
                    f"life c{place % COLOURS}",
                    "",
                )
            )
    dot = column(row.place)
    branch = Branch(dot, column(row.child)) if row.child is not None else None
    return Drawn(row, bars, branch, dot, _in_words(row))


def _in_words(row: Row) -> str:
    flying = ", ".join(f"io {io}" for _, io in row.flights) or "nothing"
    number = "1 process" if len(row.alive) == 1 else f"{len(row.alive)} processes"
    return f"{number}; in flight: {flying}"


def _told(each: Fold, rows: Sequence[Row]) -> Told:
    group = each.shown
    held = next((violation.buffer for violation in group if violation.buffer), None)
    longest = max((violation.story for violation in group), key=len)
    return Told(
        [head_text(violation) for violation in group],
        _row_of(group[0], rows),
        _lines(longest),
        buffer_text(held) if held is not None else "",
        [(fit.name, fit.text) for fit in fits_of(group)],
        fold_text(each) if each.others else "",
    )


def _row_of(violation: Violation, rows: Sequence[Row]) -> int | None:
    """The first row that tells of it."""
    head = f"{violation.kind}:"
    found = [row for row in rows if row.word == VIOLATION and row.text.startswith(head)]
    about = [row for row in found if violation.pfn in row.pfns]
    return next((row.number for row in (*about, *found)), None)


def _lines(story: Sequence[StoryLine]) -> list[Line]:
    lines: list[Line] = []
    shown: dict[str, Sequence[Frame]] = {}
    for line in story:
        is_new = bool(line.stack) and shown.get(line.cpu) != line.stack
        if is_new:
            shown[line.cpu] = line.stack
        lines.append(Line(line_text(line), stack_lines(line.stack) if is_new else ()))
    return lines
