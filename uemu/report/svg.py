"""Drawings as one picture: the same columns, a box for each step.

An SVG that stands alone, with no script, font or picture from elsewhere; it is
light or dark as the reader's system is. What colours say, places, words and
lines say too: a box stands in the column of its CPU, and a line joins it to
the one before it there, a dashed one if other CPUs ran in between. Nothing is
cut: a long cell goes on in its next line, as the text drawing's does, but the
columns may be wider. Of a very long run the middle is left out, as there.

Who cannot see the picture finds it in words in its ``desc``, step by step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from xml.sax.saxutils import escape

from uemu.report.columns import GAP, Column, fit, fold
from uemu.report.drawing import DrawnStep, cpus, ends, table
from uemu.report.race import Race

WIDTH = 132
"""The widest table, in characters, unless there are too many CPUs for it."""

CHARACTER, LINE = 7.3, 15
"""What a character takes of a line, and a line of the picture, in pixels."""

MARGIN, PAD, BETWEEN = 14, 5, 6
"""Around everything; around the text in a box; between two boxes; in pixels."""

STYLE = """
.uemu { color-scheme: light dark; background: #ffffff }
.uemu text { font: 12px ui-monospace, monospace; fill: #1b1f24 }
.uemu .head { font-weight: bold }
.uemu .number, .uemu .note, .uemu .state, .uemu .below { fill: #57606a }
.uemu .page { fill: #ffffff } .uemu .band { fill: #f3f5f7 }
.uemu .box { fill: #ddf4ff; stroke: #0969da }
.uemu line { stroke: #0969da } .uemu .left { stroke-dasharray: 2 3 }
@media (prefers-color-scheme: dark) {
  .uemu { background: #0d1117 }
  .uemu text { fill: #e6edf3 }
  .uemu .number, .uemu .note, .uemu .state, .uemu .below { fill: #9198a1 }
  .uemu .page { fill: #0d1117 } .uemu .band { fill: #161c24 }
  .uemu .box { fill: #121d2f; stroke: #4493f8 }
  .uemu line { stroke: #4493f8 }
}
"""


def draw_svg(races: Sequence[Race], *, heads: Sequence[str] = ()) -> str:
    """Races below each other as an SVG document.

    Args:
        heads: lines that stand above them all; the first names the document,
            where there is none the first race does.
    """
    page = _Page()
    for at, line in enumerate(heads):
        page.write(line, "below" if at else "head")
    for at, race in enumerate(races):
        if at or heads:
            page.skip(2 * LINE)
        _draw(page, race)
    width, height = f"{page.width + 2 * MARGIN:.0f}", f"{page.y + MARGIN:.0f}"
    name = [*heads, *(race.title for race in races), ""][0]
    words = [*heads, *(line for race in races for line in _words(race))]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="uemu" role="img" width="{width}"'
        f' height="{height}" viewBox="0 0 {width} {height}" xml:space="preserve">',
        f"<title>{escape(name)}</title>",
        "<desc>" + escape("\n".join(words)) + "</desc>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}"/>',
        *page.parts,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _words(race: Race) -> Iterable[str]:
    """What the picture of a race shows, for who cannot see it."""
    first, missing, last = ends(race.run.records)
    yield race.title
    yield f"CPUs: {', '.join(cpus(race.run.records).values())}"
    yield from map(_step_words, first)
    if missing:
        yield f"{missing} more steps"
    yield from map(_step_words, last)
    yield from (" ".join(line.split()) for line in race.legend)
    if race.replay:
        yield f"replay: {race.replay}"


def _step_words(record: DrawnStep) -> str:
    what = f", {record.step.what}" if record.step.what else ""
    return f"{record.index}. {record.task_name}: {record.step.fn}{what} [{record.state}]"


class _Page:
    """What is drawn so far.

    Attributes:
        parts: the elements.
        y: where the next of them begins, in pixels from the top.
        width: what is taken, without the margins, in pixels.
    """

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.y: float = MARGIN
        self.width: float = 0

    def skip(self, height: float) -> None:
        """Leave a space."""
        self.y += height

    def write(self, text: str, kind: str) -> None:
        """Write a text on lines of its own."""
        lines = [text] if len(text) <= WIDTH else fold(text, WIDTH)
        self.parts.append(_text(0, self.y, lines, kind))
        self.take(max(map(len, lines)))
        self.y += LINE * len(lines)

    def take(self, characters: int) -> None:
        """Be at least so wide."""
        self.width = max(self.width, characters * CHARACTER)


def _draw(page: _Page, race: Race) -> None:
    page.write(race.title, "head")
    page.skip(LINE)
    _Steps(race.run.records).draw(page)
    page.skip(LINE)
    for line in race.legend:
        page.write(line, "below")
    if race.replay:
        page.skip(PAD)
        page.write(f"replay:  {race.replay}", "below")


class _Steps:
    """The table of a race: its steps, and where in a line its columns begin.

    Attributes:
        shown: the steps; None stands for those that are left out.
        rows: their cells, before they are folded.
        widths, starts: of the columns, in characters.
    """

    def __init__(self, records: Sequence[DrawnStep]) -> None:
        columns, self.rows = table(records)
        widths = fit(columns, self.rows, max(WIDTH, _narrowest(columns, self.rows)))
        assert widths is not None, "columns at their narrowest fit"
        self.widths = widths
        self.starts = list(accumulate((width + len(GAP) for width in widths), initial=0))
        self.heads = [column.title for column in columns]
        first, missing, last = ends(records)
        self.shown = [*first, *([None] if missing else []), *last]
        self._places = {task: at for at, task in enumerate(cpus(records), start=1)}
        self._above: dict[int, tuple[int, float]] = {}

    def draw(self, page: _Page) -> None:
        """Add them to a page."""
        page.take(self.starts[-1] - len(GAP))
        heads = self._folded(self.heads)
        page.parts += [
            _text(start, page.y, head, "head")
            for start, head in zip(self.starts, heads, strict=False)
        ]
        page.skip(LINE * max(map(len, heads)) + PAD)
        for number, (record, row) in enumerate(zip(self.shown, self.rows, strict=True)):
            self._draw_row(page, number, record, self._folded(row))

    def _folded(self, row: Sequence[str]) -> list[list[str]]:
        return [fold(cell, width) for cell, width in zip(row, self.widths, strict=True)]

    def _draw_row(
        self, page: _Page, number: int, record: DrawnStep | None, cells: Sequence[Sequence[str]]
    ) -> None:
        height = LINE * max(map(len, cells)) + 2 * PAD + BETWEEN
        top = page.y + BETWEEN / 2
        page.parts.append('<g class="row">')
        if number % 2:
            full = (self.starts[-1] - len(GAP)) * CHARACTER
            page.parts.append(_rect(-PAD, page.y, full + 2 * PAD, height, "band"))
        if record is not None:
            at = self._places[record.task_index]
            page.parts += self._box(number, at, top, LINE * len(cells[at]) + 2 * PAD)
        kinds = ["number", *["step"] * (len(cells) - 3), "note", "state"]
        for start, cell, kind in zip(self.starts, cells, kinds, strict=False):
            if cell != [""]:
                page.parts.append(_text(start, top + PAD, cell, kind))
        page.parts.append("</g>")
        page.skip(height)

    def _box(self, number: int, at: int, top: float, height: float) -> list[str]:
        """A step's box, and the line to the one above it in its column."""
        left, width = self.starts[at] * CHARACTER, self.widths[at] * CHARACTER
        parts = [_rect(left - PAD, top, width + 2 * PAD, height, "box")]
        if at in self._above:
            row, bottom = self._above[at]
            x = f"{MARGIN + left + width / 2:.1f}"
            kind = "on" if row == number - 1 else "left"
            parts.append(
                f'<line class="{kind}" x1="{x}" y1="{bottom:.1f}" x2="{x}" y2="{top:.1f}"/>'
            )
        self._above[at] = number, top + height
        return parts


def _narrowest(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> int:
    """What the columns take at least, in characters."""
    width = len(GAP) * (len(columns) - 1)
    for at, column in enumerate(columns):
        natural = max(map(len, [column.title, *(row[at] for row in rows)]))
        width += natural if column.least is None else min(natural, column.least)
    return width


def _rect(left: float, top: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{MARGIN + left:.1f}" y="{top:.1f}" width="{width:.1f}"'
        f' height="{height:.1f}" rx="3"/>'
    )


def _text(start: int, top: float, lines: Sequence[str], kind: str) -> str:
    """Lines that begin at a column of characters."""
    x, y = f"{MARGIN + start * CHARACTER:.1f}", top + 12
    if len(lines) == 1:
        return f'<text class="{kind}" x="{x}" y="{y:.1f}">{escape(lines[0])}</text>'
    spans = "".join(
        f'<tspan x="{x}" y="{y + LINE * at:.1f}">{escape(line)}</tspan>'
        for at, line in enumerate(lines)
    )
    return f'<text class="{kind}">{spans}</text>'
