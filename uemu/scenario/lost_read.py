"""The race of 2009: a direct read, a fork, and a store beside it.

A thread reads the last 512 bytes of a page from a disk, another forks, a
third stores to byte 0 of the same page, as any neighbour on the heap may.
After fork the page is shared read-only, so the store breaks COW; if the copy
goes to the parent, the disk writes a frame that the parent has left, and
what the read returned never appears in its memory. The child stores too,
afterwards: it then has a frame that a device still writes.

Rule: fork or the write fault must leave the frame under I/O to its owner.
Source: Message-ID <20090311183748.GK27823@random.random> (A. Arcangeli,
2009-03-11), document 003; ground truth, case b3.
"""

from __future__ import annotations

from uemu.scenario.actions import Fork, Store
from uemu.scenario.script import (
    LAST_SECTOR,
    SECTOR,
    Scenario,
    Script,
    Stage,
    map_and_fill,
    read_disk,
)


def io(stage: Stage) -> Script:
    """Read a sector from the disk into the end of the first page."""
    yield from read_disk(stage.buf + LAST_SECTOR, b"D" * SECTOR)


def fork(stage: Stage) -> Script:
    """Fork."""
    yield Fork("child")


def cpu(stage: Stage) -> Script:
    """Store to the beginning of the page."""
    yield Store(stage.buf, b"P")


def child(stage: Stage) -> Script:
    """Store there, too."""
    yield Store(stage.buf, b"C")


SCENARIO = Scenario(
    name="lost-read",
    summary="read submitted, fork, parent stores, child stores, device writes; if the frame under"
    " I/O is not left to the parent, the parent misses its read and the child may see it",
    setup=map_and_fill,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="io fork cpu child io",
)
