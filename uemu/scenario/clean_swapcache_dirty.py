"""What a device wrote to a page of the swap cache, and reclaim after that.

A held page is unmapped and cached, and found again by a load, which does not
make it dirty. The device writes, the request ends, and reclaim comes once more:
it may free the page at once if it believes that swap has the same bytes.

Rule: what a device wrote is dirty.
Source: L. Torvalds, 2009-03-17 17:01, A. Arcangeli, 17:10, document 003; Linux
v2.6.29, fs/bio.c:bio_check_pages_dirty, mm/vmscan.c:is_page_cache_freeable.
"""

from __future__ import annotations

from uemu.scenario.actions import Load, SwapOut
from uemu.scenario.lost_read import io
from uemu.scenario.script import LAST_SECTOR, SECTOR, Scenario, Script, Stage, map_and_fill


def cpu(stage: Stage) -> Script:
    """Lose the page to reclaim, load; lose it again, and load what was read."""
    yield SwapOut(stage.buf)
    yield Load(stage.buf, 1)
    yield SwapOut(stage.buf)
    yield Load(stage.buf + LAST_SECTOR, SECTOR)


SCENARIO = Scenario(
    name="clean-swapcache-dirty",
    summary="read submitted, page swapped out, parent loads, device writes, page swapped out again,"
    " parent loads; if what a device wrote passes for clean, the parent misses its read",
    setup=map_and_fill,
    threads={"io": io, "cpu": cpu},
    children={},
    order="io cpu cpu io cpu cpu",
)
