"""Memory given to a device to read for long, and written later.

The parent forks and registers a page for a device that only reads it, as
VFIO does for a guest's memory. The reference is kept: what matters is not what
the device reads now, but what it reads after the parent's next store. Where a
read-only reference takes the page that fork shares, that store breaks COW, the
parent goes on with a copy, and the device reads the old page for ever. In the
other orders the reference comes first and fork second.

Rule: a reference that lasts must be to the page that its owner will store to.
Source: J. Gunthorpe, document 000: read-only references are tolerant of a
false COW "or they are broken like VFIO"; N. Piggin, 2009-03-16 16:50 ("readonly
get_user_pages on an already shared pte"), document 003; ground truth, case d2,
where the reference is a request's.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import DeviceLoads, Register, Release
from uemu.scenario.lost_read import cpu, fork
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def io(stage: Stage) -> Script:
    """Let a device read the first page, now and later."""
    memory = yield Register(stage.buf, PAGE_SIZE, writable=False, api="vfio")
    yield DeviceLoads(memory, 0, PAGE_SIZE)
    yield Release(memory)


SCENARIO = Scenario(
    name="ro-longterm-pin",
    summary="fork, page registered for a device to read, parent stores, device reads; if the"
    " reference is to a page that is still shared, the device reads what the parent no longer has",
    setup=map_and_fill,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={},
    order="fork io cpu io io",
)
