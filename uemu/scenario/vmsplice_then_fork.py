"""A pipe is filled first, then the fork.

As `ro_pin_then_fork`, with a pipe for the device: vmsplice puts the page into
it and returns, and somebody reads the pipe later, after the parent and then
the child stored. Nobody knows how much later: no system call is under way
that a lock could belong to.

Rule: as in `ro_pin_then_fork`, whoever holds the reference and for however
long.
Source: N. Piggin, 2009-03-16 16:23 ("the pages are retired by the other end
of the pipe") and 17:19, document 003; ground truth, case c2 with vmsplice.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Complete, DirectWrite, Signal
from uemu.scenario.lost_read import child, cpu
from uemu.scenario.ro_pin_then_fork import fork
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def io(stage: Stage) -> Script:
    """Put the first page into a pipe, and read the pipe later."""
    pipe = yield DirectWrite(stage.buf, PAGE_SIZE, api="vmsplice")
    yield Signal("submitted")
    yield Complete(pipe)


SCENARIO = Scenario(
    name="vmsplice-then-fork",
    summary="pipe filled with a page, fork, parent stores, child stores, pipe read; if neither fork"
    " nor the child's write fault minds the reference, the parent reads the child's bytes",
    setup=map_and_fill,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="io fork cpu child io",
)
