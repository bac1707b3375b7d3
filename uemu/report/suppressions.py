"""Violations that somebody knows of and wants to hear no more of, from a file.

The form is valgrind's, as far as it goes:

    # a comment
    {
      the name that it is counted under
      uemu:lost-dma-write,dma-write-*
      fun:__libc_pread*
      ...
      src:reader.c:55
      obj:*/libstore.so*
    }

The kinds come first, separated by commas. Then, the innermost first, the functions
where the memory was given to the device: ``fun:`` is a function, ``src:`` a source
file or a line of it, ``obj:`` the file its code is in; ``...`` stands for any number of
functions. Those further out are not asked for, and without any the kind decides.
In all of it ``*``, ``?`` and ``[]`` are a shell's; a file without a ``/`` is so called
in any folder.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from uemu.events import Frame
from uemu.oracle.places import function_of
from uemu.oracle.violations import KINDS, Violation

ANY: Final = "..."
TOOL: Final = "uemu:"


class Place(NamedTuple):
    """One function that a suppression asks for: in which of its names, and the pattern."""

    of: str
    pattern: str

    def matches(self, frame: Frame) -> bool:
        """Whether a function is that."""
        if self.of == "fun":
            return fnmatchcase(function_of(frame), self.pattern)
        if self.of == "obj":
            return _is_file(frame.module, self.pattern)
        return _is_file(frame.file, self.pattern) or _is_file(
            f"{frame.file}:{frame.line}", self.pattern
        )


class Suppression(NamedTuple):
    """What is not to be told.

    Attributes:
        name: what it is counted under.
        kinds: patterns for kinds of violations.
        places: the functions, the innermost first.
    """

    name: str
    kinds: tuple[str, ...]
    places: tuple[Place, ...]

    def matches(self, violation: Violation) -> bool:
        """Whether it is about a violation."""
        if not any(fnmatchcase(violation.kind, kind) for kind in self.kinds):
            return False
        stack = violation.story[0].stack if violation.story else ()
        return _begins(stack, self.places)


def _is_file(path: str, pattern: str) -> bool:
    return fnmatchcase(path if "/" in pattern else os.path.basename(path), pattern)


def _begins(stack: Sequence[Frame], places: Sequence[Place]) -> bool:
    if not places:
        return True
    first, rest = places[0], places[1:]
    if first.of == ANY:
        return any(_begins(stack[at:], rest) for at in range(len(stack) + 1))
    return bool(stack) and first.matches(stack[0]) and _begins(stack[1:], rest)


def read_suppressions(path: str) -> list[Suppression]:
    """Those of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not of that form; the message says where.
    """
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        lines = [(number, line.strip()) for number, line in enumerate(file, 1)]
    found: list[Suppression] = []
    inside: list[tuple[int, str]] | None = None
    for number, line in lines:
        if not line or line.startswith("#"):
            continue
        if inside is None:
            if line != "{":
                raise ValueError(f"{path}:{number}: {line!r} where a suppression begins with '{{'")
            inside = []
        elif line == "}":
            found.append(_suppression(path, number, inside))
            inside = None
        else:
            inside.append((number, line))
    if inside is not None:
        raise ValueError(f"{path}: the last suppression has no '}}'")
    return found


def _suppression(path: str, end: int, lines: list[tuple[int, str]]) -> Suppression:
    if len(lines) < 2:
        raise ValueError(f"{path}:{end}: a suppression has a name and a line with {TOOL}KIND")
    (_, name), (number, kinds), *places = lines
    if not kinds.startswith(TOOL):
        raise ValueError(f"{path}:{number}: {kinds!r} is not {TOOL}KIND")
    patterns = tuple(kind.strip() for kind in kinds.removeprefix(TOOL).split(","))
    for pattern in patterns:
        if not any(fnmatchcase(kind, pattern) for kind in KINDS):
            raise ValueError(
                f"{path}:{number}: no violation is called {pattern!r}; see uemu explain"
            )
    return Suppression(name, patterns, tuple(_place(path, *each) for each in places))


def _place(path: str, number: int, text: str) -> Place:
    if text == ANY:
        return Place(ANY, "")
    of, colon, pattern = text.partition(":")
    if of not in ("fun", "src", "obj") or not colon or not pattern:
        raise ValueError(f"{path}:{number}: {text!r} is none of fun:, src:, obj: and {ANY}")
    return Place(of, pattern)


def suppress(
    violations: Iterable[Violation], suppressions: Sequence[Suppression]
) -> tuple[list[Violation], Counter[str]]:
    """Those that are to be told, and how many are not, by the names of their suppressions."""
    kept: list[Violation] = []
    counts: Counter[str] = Counter()
    for violation in violations:
        found = next((each for each in suppressions if each.matches(violation)), None)
        if found is None:
            kept.append(violation)
        else:
            counts[found.name] += 1
    return kept, counts
