"""The drawing of a race as a picture: the same columns, one box for each step.

An SVG that stands alone: no script, no font and no colour of its own choosing
but the two of a light and a dark page. A step that waits for nobody follows
the one above it in its column by a line, so that one sees who was interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from uemu.report.columns import fold
from uemu.report.drawing import DrawnRun, DrawnStep
from uemu.report.story import verdict_text

CHARACTER = 7.3
"""How wide a character is, in pixels, at 12 pixels of height."""

ROW, BOX, TOP, LEFT = 26, 20, 64, 12
NOTE_COLUMNS, STATE_COLUMNS = 34, 26

STYLE = """
text { font: 12px ui-monospace, monospace; fill: #1b1f24 }
.head { font-weight: bold } .note, .state, .number { fill: #57606a }
rect { fill: #ddf4ff; stroke: #0969da } line { stroke: #0969da; stroke-dasharray: 2 3 }
.page { fill: #ffffff; stroke: none }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .note, .state, .number { fill: #8d96a0 }
  rect { fill: #121d2f; stroke: #4493f8 } line { stroke: #4493f8 }
  .page { fill: #0d1117; stroke: none }
}
"""


def draw_svg(scenario: str, run: DrawnRun, *, remark: str = "") -> str:
    """A run as an SVG document.

    Args:
        remark: stands at the end of the title, in parentheses.
    """
    records = run.records
    names = {record.task_index: record.task_name for record in records}
    order = sorted(names)
    widths = {index: _column(names[index], records, index) for index in order}
    starts: dict[int, float] = {}
    at = LEFT + 4 * CHARACTER
    for index in order:
        starts[index] = at
        at += widths[index] + 10
    note_at, state_at = at, at + NOTE_COLUMNS * CHARACTER
    width = state_at + STATE_COLUMNS * CHARACTER
    height = TOP + ROW * len(records) + 16
    what = verdict_text(run.verdicts) + (f" ({remark})" if remark else "")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}"'
        f' viewBox="0 0 {width:.0f} {height}" role="img">',
        f"<title>{escape(f'Race: {scenario} {run.schedule} -> {what}')}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{width:.0f}" height="{height}"/>',
        _text(LEFT, 20, f"{scenario} -> {what}", "head"),
        _text(LEFT, 36, str(run.schedule), "note"),
        *(_text(starts[index], 56, names[index], "head") for index in order),
        _text(note_at, 56, "note", "head"),
        _text(state_at, 56, "state", "head"),
    ]
    last: dict[int, float] = {}
    for row, record in enumerate(records):
        top = TOP + ROW * row
        parts += _step(record, top, starts, widths, last)
        parts.append(_text(note_at, top + 14, _short(record.step.what, NOTE_COLUMNS), "note"))
        parts.append(_text(state_at, top + 14, _short(record.state, STATE_COLUMNS), "state"))
    return "\n".join([*parts, "</svg>", ""])


def _column(name: str, records: Sequence[DrawnStep], index: int) -> float:
    labels = [record.step.fn for record in records if record.task_index == index]
    return max(map(len, (name, *labels))) * CHARACTER + 12


def _step(
    record: DrawnStep,
    top: float,
    starts: dict[int, float],
    widths: dict[int, float],
    last: dict[int, float],
) -> list[str]:
    index = record.task_index
    left, width = starts[index], widths[index]
    parts = [_text(LEFT, top + 14, str(record.index), "number")]
    if index in last and last[index] < top:
        middle = left + width / 2
        parts.append(
            f'<line x1="{middle:.1f}" y1="{last[index]:.1f}" x2="{middle:.1f}" y2="{top:.1f}"/>'
        )
    last[index] = top + BOX
    parts.append(f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{BOX}" rx="3"/>')
    parts.append(_text(left + 6, top + 14, record.step.fn, "step"))
    return parts


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _short(text: str, width: int) -> str:
    """A text in one line; it may be cut in the end."""
    return fold(text, width - 2, 1)[0]
