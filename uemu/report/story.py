"""A violation told in lines: what was violated, and what happened in what order."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Sequence

from uemu.events import Frame
from uemu.oracle.violations import KINDS, StoryLine, Violation
from uemu.report.stack_lines import stack_lines

WIDTH = 99

MOST = 30
"""A longer story is told without its middle, where the same goes on and on; JSON has it all."""

FIRST, LAST = 14, 10
"""So many of its events are told."""

NOTHING = "no violation"

_ORDER = {kind: number for number, kind in enumerate(KINDS)}

Told = tuple[list[str], list[str]]
"""The lines that say what was violated, and those of the story."""


def in_order(kinds: Collection[str]) -> list[str]:
    """Kinds of violations in the order reports list them; unknown ones last, by name."""
    return sorted(kinds, key=_rank)


def _rank(kind: str) -> tuple[int, str]:
    return _ORDER.get(kind, len(_ORDER)), kind


def verdict_text(kinds: Collection[str]) -> str:
    """Kinds of violations in a line, or that there is none."""
    return ", ".join(in_order(kinds)) or NOTHING


def verdict_lines(kind: str, message: str = "", *, width: int = WIDTH) -> list[str]:
    """A kind of violation with a message or, for want of one, what the kind means."""
    return _wrap(_verdict(kind, message), "", "  ", width)


def story_lines(violation: Violation) -> list[str]:
    """A violation in lines: its kind and message, then its story, numbered."""
    return [*_head(violation), *_story(violation.story)]


def told_together(violations: Iterable[Violation], *, width: int = WIDTH) -> list[Told]:
    """Violations in the order reports list them; those that share a story tell it once.

    Args:
        width: the widest line, for a report that stands behind something.
    """
    return [told(group, width=width) for group in together(violations)]


def story_texts(violations: Iterable[Violation]) -> list[Told]:
    """The same as texts that are not wrapped; events are not numbered and have no stacks."""
    return [
        ([head_text(violation) for violation in group], list(map(line_text, _longest(group))))
        for group in together(violations)
    ]


def together(violations: Iterable[Violation]) -> list[list[Violation]]:
    """Violations in the order reports list them, those that share a story as one group.

    A story that another one only continues is the same.
    """
    groups: list[list[Violation]] = []
    for violation in sorted(violations, key=lambda each: _rank(each.kind)):
        for group in groups:
            length = min(len(violation.story), len(group[0].story))
            if length and violation.story[:length] == group[0].story[:length]:
                group.append(violation)
                break
        else:
            groups.append([violation])
    return groups


def told(group: Sequence[Violation], *, width: int = WIDTH) -> Told:
    """Violations that share a story."""
    heads = [line for violation in group for line in _head(violation, width)]
    return heads, _story(_longest(group), width)


def _longest(group: Collection[Violation]) -> Collection[StoryLine]:
    return max((violation.story for violation in group), key=len)


def _head(violation: Violation, width: int = WIDTH) -> list[str]:
    return _wrap(head_text(violation), "", "  ", width)


def head_text(violation: Violation) -> str:
    """What was violated, in a text that is not wrapped."""
    where = ""
    if violation.length:
        bytes_ = "1 byte" if violation.length == 1 else f"{violation.length} bytes"
        where = f", {bytes_} at {violation.address:#x}"
    return _verdict(violation.kind, violation.message + where)


def _verdict(kind: str, message: str) -> str:
    return f"{kind}: {message or KINDS.get(kind, 'unknown')}"


def _story(story: Collection[StoryLine], width: int = WIDTH) -> list[str]:
    lines: list[str] = []
    shown: dict[str, tuple[Frame, ...]] = {}
    digits = len(str(len(story)))
    left_out = range(FIRST, len(story) - LAST) if len(story) > MOST else range(0)
    for number, line in enumerate(story, start=1):
        if number - 1 in left_out:
            if number - 1 == left_out.start:
                lines.append(f"  {'...':<{digits + 2}}{len(left_out)} events left out")
            continue
        mark = f"  {number:>{digits}}. "
        lines += _wrap(line_text(line), mark, " " * len(mark), width)
        # What a thread did at one place it tells of once.
        if line.stack and shown.get(line.cpu) != line.stack:
            shown[line.cpu] = line.stack
            indent = " " * len(mark)
            for text in stack_lines(line.stack):
                lines += _wrap(text, indent, indent + "  ", width)
    return lines


def line_text(line: StoryLine) -> str:
    """An event of a story, with its thread."""
    # The device is no thread, and a process of one thread is named already.
    is_named = line.cpu in ("", "device") or line.text.startswith(f"{line.cpu}: ")
    return line.text if is_named else f"{line.text} [{line.cpu}]"


def _wrap(text: str, first: str, rest: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )
