"""The other remedy: MADV_WIPEONFORK on the buffer.

As `lost_read`, but the parent asked that its children find its buffer empty.
fork copies the mapping and no entry of it, so nothing is shared and the parent
keeps its read; unlike after MADV_DONTFORK the child has memory there, zeros,
and may use it.

Rule: MADV_WIPEONFORK keeps fork away from the pages.
Source: madvise(2), since Linux kernel commit d2cd9ede6e19 ("mm,fork: introduce
MADV_WIPEONFORK") (in v4.14); ground truth, case e2.
"""

from __future__ import annotations

from uemu.abi import MADV_WIPEONFORK, PAGE_SIZE
from uemu.mm.hooks import PolicyHooks
from uemu.scenario.actions import Madvise
from uemu.scenario.child_corrupted import child
from uemu.scenario.lost_read import cpu, fork, io
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def setup(stage: Stage) -> Script:
    """Map and fill the buffer, and wipe it for children."""
    yield from map_and_fill(stage)
    yield Madvise(stage.buf, 2 * PAGE_SIZE, MADV_WIPEONFORK)


def needs_wipeonfork(hooks: PolicyHooks) -> str | None:
    """Why there is no such cell under a kernel without that advice."""
    return None if hooks.has_wipeonfork else "MADV_WIPEONFORK came with v4.14"


SCENARIO = Scenario(
    name="wipeonfork",
    summary="MADV_WIPEONFORK, read submitted, fork, parent stores, child loads, device writes; if"
    " fork shares the pages nevertheless, the parent misses its read",
    setup=setup,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="io fork cpu child io",
    not_applicable=needs_wipeonfork,
)
