"""The reverse race: a direct write whose page fork shares already.

The parent forks, then writes a whole page to a disk. get_user_pages only
reads the page, so it may hold the frame that both map read-only. The parent
stores: COW is broken and the parent gets the copy. The child stores: it is
the only one left to map the frame, may reuse it, and the disk receives bytes
that the writer never wrote.

Rule: get_user_pages must break COW for a device that reads, too; or a write
fault must copy while anybody holds the frame.
Source: reverse-race.c in the mail of N. Piggin, 2009-03-14 04:59, and
Message-ID <20090316135654.GA17949@random.random> (A. Arcangeli, 2009-03-16),
document 003; ground truth, case d1.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Complete, DirectWrite, Fork, Signal, WaitFor
from uemu.scenario.lost_read import child, cpu
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def io(stage: Stage) -> Script:
    """Write the first page to the disk, once the child is there."""
    yield WaitFor("forked")
    write = yield DirectWrite(stage.buf, PAGE_SIZE)
    yield Complete(write)


def fork(stage: Stage) -> Script:
    """Fork."""
    yield Fork("child")
    yield Signal("forked")


SCENARIO = Scenario(
    name="reverse-race",
    summary="fork, write of the shared page submitted, parent stores, child stores, device reads;"
    " if COW is neither broken at once nor on account of the reference, the device receives the"
    " child's bytes",
    setup=map_and_fill,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="fork io cpu child io",
)
