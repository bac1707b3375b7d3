"""A direct read over two forks; the first child is gone when the second comes.

The first fork leaves the page write-protected, although nobody shares it any
more when its child has exited. The second fork meets a read-only entry, the
same reference of the device, and whatever the first one left behind.

Rule: what protects a page under I/O from one fork must still be there at the
next.
Source: ground truth, case a6: lost on 4.19, 5.10 and 6.1, kept on 6.18.
"""

from __future__ import annotations

from uemu.scenario.actions import Exit, Fork, Load, Signal, Store, WaitFor
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
    yield from read_disk(stage.buf + LAST_SECTOR, b"D" * SECTOR, submitted="submitted")


def fork(stage: Stage) -> Script:
    """Fork, wait until that child is gone, fork again, and store to the page."""
    yield WaitFor("submitted")
    yield Fork("first")
    yield WaitFor("first is gone")
    yield Fork("child")
    yield Store(stage.buf, b"P")


def first(stage: Stage) -> Script:
    """Exit at once."""
    yield Exit()
    yield Signal("first is gone")


def child(stage: Stage) -> Script:
    """Look at the end of the page."""
    yield Load(stage.buf + LAST_SECTOR, SECTOR)


SCENARIO = Scenario(
    name="refork",
    summary="read submitted, fork, child exits, fork again, parent stores, device writes; if the"
    " second fork does not see what the first one saw, the parent misses its read",
    setup=map_and_fill,
    threads={"io": io, "fork": fork},
    children={"first": first, "child": child},
    order="io fork first fork fork io child",
)
