"""A direct read into a whole page that nobody but the device touches.

What memalign(4096) is for: the first page is the buffer and nothing else.
The neighbours on the heap, here the page behind it, belong to the CPUs: the
parent stores there after fork, and so does the child. No write fault ever
meets the page under I/O, so its frame stays with the parent. Where fork
shares it the child still maps it, too, and its private memory changes when
the disk writes.

Rule: a page that no CPU stores to stays with its owner; that its child does
not see the device takes more than alignment.
Source: Message-ID <20090311183748.GK27823@random.random> (A. Arcangeli,
2009-03-11: affected are those "not allocating memory with memalign(4096)"),
document 003; ground truth, case a0, for the child.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Store
from uemu.scenario.lost_read import fork
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill, read_disk


def io(stage: Stage) -> Script:
    """Read the first page from the disk."""
    yield from read_disk(stage.buf, b"D" * PAGE_SIZE)


def cpu(stage: Stage) -> Script:
    """Store to the page behind it."""
    yield Store(stage.buf + PAGE_SIZE, b"P")


def child(stage: Stage) -> Script:
    """Store there, too."""
    yield Store(stage.buf + PAGE_SIZE, b"C")


SCENARIO = Scenario(
    name="lost-read-aligned",
    summary="read of a whole page submitted, fork, parent and child store to the page behind it,"
    " device writes; if fork shares the frame under I/O, the child sees what the device wrote, but"
    " the parent never misses its read",
    setup=map_and_fill,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="io fork cpu child io",
)
