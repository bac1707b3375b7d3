"""The remedy, taken back: MADV_DONTFORK, then MADV_DOFORK.

As `lost_read`, on memory that was kept from children for a while. A buffer is
on the heap, and whoever is done with it gives the heap's page back to fork as
it was; nothing of the remedy may stay behind, and nothing of it helps the next
user of the page.

Rule: as in `lost_read`; MADV_DOFORK undoes MADV_DONTFORK.
Source: madvise(2); N. Piggin, 2009-03-12 05:36, document 003, for the remedy.
"""

from __future__ import annotations

from uemu.abi import MADV_DOFORK, PAGE_SIZE
from uemu.scenario import dontfork
from uemu.scenario.actions import Madvise
from uemu.scenario.lost_read import child, cpu, fork, io
from uemu.scenario.script import Scenario, Script, Stage


def setup(stage: Stage) -> Script:
    """Keep the buffer from children, and then no more."""
    yield from dontfork.setup(stage)
    yield Madvise(stage.buf, 2 * PAGE_SIZE, MADV_DOFORK)


SCENARIO = Scenario(
    name="dofork-again",
    summary="MADV_DONTFORK, MADV_DOFORK, read submitted, fork, parent stores, child stores, device"
    " writes; if the frame under I/O is not left to the parent, the parent misses its read",
    setup=setup,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="io fork cpu child io",
)
