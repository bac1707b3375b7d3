"""Equal violations told once and counted: the same thing, done from the same places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from uemu.events import Frame
from uemu.oracle.violations import Violation
from uemu.report.story import together

MOST: Final = 4

Place = tuple[str, str, int]
"""A function, its source file, the line: what is the same in every run of a program."""

Key = tuple[tuple[str, ...], frozenset[tuple[str, tuple[Place, ...]]]]


@dataclass(frozen=True, slots=True)
class Fold:
    """Violations that share a story, and how often the like came about.

    Attributes:
        shown: those that are told.
        others: the like, group by group.
    """

    shown: Sequence[Violation]
    others: Sequence[Sequence[Violation]]

    @property
    def count(self) -> int:
        """How many there are of the kind."""
        return 1 + len(self.others)


def fold(violations: Iterable[Violation]) -> list[Fold]:
    """Violations in the order reports list them, the like folded.

    Two stories are alike if the same kinds of violations came of the same events,
    from the same places of the program. Which page, which thread and in which order
    does not matter; where places are not known, the events alone do.
    """
    folds: dict[Key, list[Sequence[Violation]]] = {}
    for group in together(violations):
        folds.setdefault(_key(group), []).append(group)
    return [Fold(groups[0], groups[1:]) for groups in folds.values()]


def _key(group: Sequence[Violation]) -> Key:
    kinds = tuple(dict.fromkeys(violation.kind for violation in group))
    places = frozenset(
        (line.event, tuple(map(_place, line.stack)))
        for violation in group
        for line in violation.story
    )
    return kinds, places


def _place(frame: Frame) -> Place:
    return frame.function or f"{frame.pc:#x}", frame.file, frame.line


def fold_text(fold: Fold) -> str:
    """How many more there are, and where the first of them are."""
    number = len(fold.others)
    where = [f"{group[0].address:#x}" for group in fold.others if group[0].length]
    at = f", at {', '.join(where[:MOST])}" if where else ""
    more = " ..." if len(where) > MOST else ""
    return f"and {number} more like it{at}{more}"
