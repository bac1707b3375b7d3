"""A direct read over a fork whose child forks in turn.

Three processes map the page when the parent stores. The child's store does
not find itself alone then, as it may in `lost_read`: it leaves the frame,
too, and the one that touches nothing, the grandchild, is left with what the
disk writes.

Rule: fork or the write fault must leave the frame under I/O to its owner,
however many share it.
Source: document 003, A. Arcangeli, 2009-03-11 18:37, and L. Torvalds, 18:46:
who stores leaves the frame; ground truth, cases a1 and b3, between two.
"""

from __future__ import annotations

from uemu.scenario.actions import Fork, Load, Signal, Store, WaitFor
from uemu.scenario.gup_fast_vs_fork import one_page
from uemu.scenario.script import LAST_SECTOR, SECTOR, Scenario, Script, Stage, read_disk


def io(stage: Stage) -> Script:
    """Read a sector from the disk into the end of the page."""
    yield from read_disk(stage.buf + LAST_SECTOR, b"D" * SECTOR, submitted="submitted")


def fork(stage: Stage) -> Script:
    """Fork, and store to the page once three share it."""
    yield WaitFor("submitted")
    yield Fork("child")
    yield WaitFor("grandchild is there")
    yield Store(stage.buf, b"P")


def child(stage: Stage) -> Script:
    """Fork, and store to the page."""
    yield Fork("grandchild")
    yield Signal("grandchild is there")
    yield Store(stage.buf, b"C")


def grandchild(stage: Stage) -> Script:
    """Look at the end of the page."""
    yield Load(stage.buf + LAST_SECTOR, SECTOR)


SCENARIO = Scenario(
    name="grandchild",
    summary="read submitted, fork, child forks, parent stores, child stores, device writes; if the"
    " frame under I/O is not left to the parent, the parent misses its read and the grandchild"
    " sees it",
    setup=one_page,
    threads={"io": io, "fork": fork},
    children={"child": child, "grandchild": grandchild},
    order="io fork child fork child io grandchild",
)
