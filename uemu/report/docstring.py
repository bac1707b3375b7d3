"""The docstring of a policy or a scenario, taken apart.

First some paragraphs, then parts: a name at the margin, a colon, the text, in
the lines that follow set off. A drawing, its legend, and whatever else is set
off in the paragraphs stay as they are.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field

_PART = re.compile(r"^(?P<name>[A-Z][a-z]+(?: [a-z]+)?):(?=[ \n])", re.MULTILINE)

DRAWING = ("Race", "State")
"""The parts that are a drawing and its legend."""


@dataclass(frozen=True, slots=True)
class Told:
    """A docstring.

    Attributes:
        about: its paragraphs; one that is set off, or has such lines, keeps its lines.
        parts: its parts, each in one line.
        drawing: the drawing and its legend, or nothing.
    """

    about: tuple[str, ...] = ()
    parts: dict[str, str] = field(default_factory=dict)
    drawing: str = ""


def read_docstring(docstring: str | None) -> Told:
    """Take a docstring apart."""
    text = inspect.cleandoc(docstring or "")
    marks = list(_PART.finditer(text))
    starts = [*(mark.start() for mark in marks), len(text)]
    parts: dict[str, str] = {}
    drawing = []
    for mark, end in zip(marks, starts[1:], strict=True):
        if mark["name"] in DRAWING:
            drawing.append(text[mark.start() : end])
        else:
            parts[mark["name"]] = " ".join(text[mark.end() : end].split())
    return Told(tuple(_paragraphs(text[: starts[0]])), parts, "".join(drawing).strip())


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        if paragraph.strip():
            is_set_off = re.search(r"^ ", paragraph, re.MULTILINE)
            yield paragraph if is_set_off else " ".join(paragraph.split())


def told_lines(paragraph: str, width: int, indent: str = "") -> list[str]:
    """A paragraph in lines; one that keeps its lines is only set off."""
    if "\n" in paragraph or paragraph.startswith(" "):
        return [f"{indent}{line}".rstrip() for line in paragraph.splitlines()]
    return textwrap.wrap(
        paragraph,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
