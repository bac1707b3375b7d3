"""An explanation: paragraphs, then named parts, then a table and a drawing if there are any."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from uemu.oracle.remedies import Remedy
from uemu.report.docstring import told_lines
from uemu.report.story import verdict_text

LABEL = 14
"""The width of the names of parts, in columns."""


@dataclass(slots=True)
class Explanation:
    """What there is to say about something.

    Attributes:
        title: what it is, in a line.
        about: paragraphs; see `uemu.report.docstring`.
        parts: by name, each some texts.
        table: lines that stand as they are.
        drawing: as it stands; or nothing.
    """

    title: str
    about: Sequence[str] = ()
    parts: dict[str, Sequence[str]] = field(default_factory=dict)
    table: Sequence[str] = ()
    drawing: str = ""

    def lines(self, width: int) -> list[str]:
        """Below the title: everything, wrapped to ``width``, but for what keeps its lines."""
        lines: list[str] = []
        for paragraph in self.about:
            lines += [*told_lines(paragraph, width), ""]
        for name, texts in self.parts.items():
            lines += part_lines(name, texts, width)
        for block in (self.table, self.drawing.splitlines()):
            if block:
                lines += ["", *block]
        return lines


def part_lines(name: str, texts: Iterable[str], width: int) -> list[str]:
    """A part: its name, and its texts beside it, each in lines of its own."""
    lines = []
    for text in texts:
        lines += textwrap.wrap(
            text,
            width,
            initial_indent=name.ljust(LABEL),
            subsequent_indent=" " * LABEL,
            break_long_words=False,
            break_on_hyphens=False,
        )
        name = ""
    return lines


def remedy_texts(remedies: Iterable[Remedy]) -> list[str]:
    """Remedies as texts: what to do, and who says so."""
    return [f"{each.name}: {each.text} ({each.source})" for each in remedies]


def grouped(shown: Mapping[str, frozenset[str]]) -> list[str]:
    """Names by what they show, as texts; those that show nothing are left out."""
    groups: dict[str, list[str]] = {}
    for name, kinds in shown.items():
        if kinds:
            groups.setdefault(verdict_text(kinds), []).append(name)
    return [f"{verdict}: {', '.join(names)}" for verdict, names in groups.items()]
