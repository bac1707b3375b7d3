"""The owner unmaps the buffer of a direct read that is in flight over a fork.

The device keeps the frame, which is as it should be: it must not be freed and
given to somebody else. But where fork shared it the child is now the only one
to map it, and sees what the disk writes. No rule about who gets the copy can
help here, since nobody stores.

Rule: fork must not share a frame that a device is writing; munmap must not
free it.
Source: document 003, L. Torvalds, 2009-03-11 20:19 ("the original allocator
actually unmaps it (or exits) [...] the child seeing changes even though the
IO was started in the parent").
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Fork, Load, Munmap, WaitFor
from uemu.scenario.gup_fast_vs_fork import one_page
from uemu.scenario.mprotect_toggle_while_pinned import io
from uemu.scenario.script import LAST_SECTOR, SECTOR, Scenario, Script, Stage


def fork(stage: Stage) -> Script:
    """Fork, and take the buffer away."""
    yield WaitFor("submitted")
    yield Fork("child")
    yield Munmap(stage.buf, PAGE_SIZE)


def child(stage: Stage) -> Script:
    """Look at the end of the page."""
    yield Load(stage.buf + LAST_SECTOR, SECTOR)


SCENARIO = Scenario(
    name="munmap-in-flight",
    summary="read submitted, fork, parent unmaps the buffer, device writes; if fork shared the"
    " frame under I/O, the child sees what the device wrote, whoever would get a copy",
    setup=one_page,
    threads={"io": io, "fork": fork},
    children={"child": child},
    order="io fork fork io child",
)
