"""A direct read over a fork, and nobody stores.

The parent reads the last 512 bytes of a page from a disk and forks before
the disk is done. Nobody stores anything. Where fork shares the page, the
child's private memory changes under it when the disk writes.

Rule: fork must not share a frame that a device is writing.
Source: Message-ID <20090311183748.GK27823@random.random> (A. Arcangeli,
2009-03-11: "Actually the child will get corrupted too"), document 003;
ground truth, case a0.
"""

from __future__ import annotations

from uemu.scenario.actions import Load
from uemu.scenario.lost_read import fork, io
from uemu.scenario.script import LAST_SECTOR, SECTOR, Scenario, Script, Stage, map_and_fill


def child(stage: Stage) -> Script:
    """Look at the end of the page."""
    yield Load(stage.buf + LAST_SECTOR, SECTOR)


SCENARIO = Scenario(
    name="child-corrupted",
    summary="read submitted, fork, device writes; if fork shares the frame under I/O, the child"
    " sees in its private memory what the device wrote for the parent",
    setup=map_and_fill,
    threads={"io": io, "fork": fork},
    children={"child": child},
    order="io fork io child",
)
