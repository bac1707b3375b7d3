"""The users' remedy: MADV_DONTFORK on the buffer.

As `lost_read`, but the parent asked that its buffer not be there in a child.
fork then leaves the pages alone, nothing is shared, and every kernel keeps
the read. The child has no such memory: it could not touch it.

Rule: MADV_DONTFORK keeps fork away from the pages.
Source: N. Piggin, 2009-03-12 05:36, B. Herrenschmidt, 2009-03-14 05:06,
document 003; ground truth, case e1.
"""

from __future__ import annotations

from uemu.abi import MADV_DONTFORK, PAGE_SIZE
from uemu.scenario.actions import Madvise
from uemu.scenario.lost_read import cpu, fork, io
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def setup(stage: Stage) -> Script:
    """Map and fill the buffer, and keep it from children."""
    yield from map_and_fill(stage)
    yield Madvise(stage.buf, 2 * PAGE_SIZE, MADV_DONTFORK)


SCENARIO = Scenario(
    name="dontfork",
    summary="MADV_DONTFORK, read submitted, fork, parent stores, device writes; if fork shares the"
    " pages nevertheless, the parent misses its read",
    setup=setup,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={},
    order="io fork cpu io",
)
