"""A fork, and then a direct read into the page that it shared.

The other order of `lost_read`, and the one that was never lost:
get_user_pages wants a page it may write, so it breaks COW as a store would,
and the frame it holds is the parent's alone before the device has it. What
parent and child store afterwards meets no shared frame under I/O.

Rule: get_user_pages for a device that writes must break COW.
Source: document 003, A. Arcangeli, 2009-03-11 21:57 ("any gup or gup-fast
will trigger cow before it can write to the shared page"); ground truth, case
d4: kept on 4.19 and everything since.
"""

from __future__ import annotations

from uemu.scenario.actions import Fork, Signal, WaitFor
from uemu.scenario.gup_fast_vs_fork import one_page
from uemu.scenario.lost_read import child, cpu
from uemu.scenario.script import LAST_SECTOR, SECTOR, Scenario, Script, Stage, read_disk


def io(stage: Stage) -> Script:
    """Read a sector from the disk into the end of the page, once the child is there."""
    yield WaitFor("forked")
    yield from read_disk(stage.buf + LAST_SECTOR, b"D" * SECTOR)


def fork(stage: Stage) -> Script:
    """Fork."""
    yield Fork("child")
    yield Signal("forked")


SCENARIO = Scenario(
    name="fork-then-direct-read",
    summary="fork, read submitted into the shared page, parent stores, child stores, device"
    " writes; if get_user_pages for a device that writes does not break COW, the child sees what"
    " the device wrote",
    setup=one_page,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="fork io cpu child io",
)
