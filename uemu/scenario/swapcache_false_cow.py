"""A page that was in the swap cache before a device took it.

Reclaim writes a page out. While the write is under way the parent stores: the
page is found in the swap cache and mapped writable, and stays cached, because
it is under writeback. A disk read takes it. Now reclaim comes again: who keeps
held pages out of the swap cache is not asked, for it is there already. In the
canonical order nothing of this happens; it is for an explorer.

Rule: it is not enough to add no held page to the swap cache.
Source: A. Arcangeli, 2009-03-17 18:46, document 003: "the page may be in the
swapcache well before gup runs".
"""

from __future__ import annotations

from uemu.scenario.actions import Load, Signal, Store, SwapOut, WaitFor
from uemu.scenario.script import (
    LAST_SECTOR,
    SECTOR,
    Scenario,
    Script,
    Stage,
    map_and_fill,
    read_disk,
)


def io(stage: Stage) -> Script:
    """Read a sector from the disk, once the parent has stored."""
    yield WaitFor("stored")
    yield from read_disk(stage.buf + LAST_SECTOR, b"D" * SECTOR)


def cpu(stage: Stage) -> Script:
    """Store while the page is written out; load and store once it was wanted again."""
    yield Store(stage.buf, b"W")
    yield Signal("stored")
    yield WaitFor("wanted again")
    yield Load(stage.buf, 1)
    yield Store(stage.buf, b"P")


def kswapd(stage: Stage) -> Script:
    """Want the page twice."""
    yield SwapOut(stage.buf)
    yield SwapOut(stage.buf)
    yield Signal("wanted again")


def one_page(stage: Stage) -> Script:
    """Map and fill one page."""
    yield from map_and_fill(stage, nr_pages=1)


SCENARIO = Scenario(
    name="swapcache-false-cow",
    summary="page swapped out while the parent stores, read submitted, page swapped out again,"
    " parent loads, parent stores, device writes; if a held page is unmapped because it was in the"
    " swap cache already, the parent misses its read",
    setup=one_page,
    threads={"io": io, "cpu": cpu, "kswapd": kswapd},
    children={},
    order="kswapd cpu io kswapd cpu cpu io",
)
