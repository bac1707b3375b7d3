"""A direct write first, then the fork.

As `reverse_race`, but the page is held before fork, when it is the parent's
alone and writable: get_user_pages has no COW to break. fork then shares the
frame with the reference on it, the parent's store leaves it, the child's
store reuses it, and the disk receives the child's bytes.

Rule: fork must see a reference that only reads, or a write fault must copy
while anybody holds the frame.
Source: document 003, N. Piggin, 2009-03-14 04:59 ("the other side of the
race"); ground truth, case c2.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Complete, DirectWrite, Fork, Signal, WaitFor
from uemu.scenario.lost_read import child, cpu
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def io(stage: Stage) -> Script:
    """Write the first page to the disk."""
    write = yield DirectWrite(stage.buf, PAGE_SIZE)
    yield Signal("submitted")
    yield Complete(write)


def fork(stage: Stage) -> Script:
    """Fork, once the page is held."""
    yield WaitFor("submitted")
    yield Fork("child")


SCENARIO = Scenario(
    name="ro-pin-then-fork",
    summary="write submitted, fork, parent stores, child stores, device reads; if neither fork nor"
    " the child's write fault minds the reference, the device receives the child's bytes",
    setup=map_and_fill,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="io fork cpu child io",
)
