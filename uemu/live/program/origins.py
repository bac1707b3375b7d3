"""What memory was before a device held it: the mappings that framed pages were parts of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

MOST: Final = 256
"""Mappings that are remembered; a program may make and give back any number."""


class Origin(NamedTuple):
    """A mapping of a program's own, before pages of it were framed.

    Attributes:
        start, end: in bytes.
        name: a file's path, ``[heap]``, ``[stack]``; "": anonymous memory.
    """

    start: int
    end: int
    name: str


class Origins:
    """Those of one address space."""

    def __init__(self, known: Iterable[Origin] = ()) -> None:
        self._known = list(known)

    def note(self, origin: Origin) -> None:
        """A page of that mapping is going to be framed.

        Frames split a mapping: what is left of one is a part of it.
        """
        for known in self._known:
            if known.name == origin.name and known.start <= origin.start < origin.end <= known.end:
                return
        self._known.append(origin)
        del self._known[:-MOST]

    def find(self, addr: int) -> Origin | None:
        """The mapping that an address was in, as far as that is known."""
        return next((o for o in reversed(self._known) if o.start <= addr < o.end), None)

    def copy(self) -> Origins:
        """A child's, who has the same memory."""
        return Origins(self._known)
