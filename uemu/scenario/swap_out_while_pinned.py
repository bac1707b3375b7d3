"""A direct read, reclaim, a load, a store: nobody forks.

The kernel wants the page that a disk is writing. It is unmapped, but held, and
stays in the swap cache. The parent loads from it: do_swap_page finds the page
there and maps it, read-only. The parent stores: do_wp_page is asked about a
page that nobody shares and a device holds.

Rule: a write fault must not take a device's reference for a sharer; or reclaim
must leave alone what is held.
Source: A. Arcangeli, 2009-03-17 12:19, document 003; Linux commit feb889fb40fa
("mm: don't put pinned pages into the swap cache"); ground truth, case f1.
"""

from __future__ import annotations

from uemu.scenario.actions import Load, Store, SwapOut
from uemu.scenario.lost_read import io
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def cpu(stage: Stage) -> Script:
    """Lose the page to reclaim, load from it, store to it."""
    yield SwapOut(stage.buf)
    yield Load(stage.buf, 1)
    yield Store(stage.buf, b"P")


SCENARIO = Scenario(
    name="swap-out-while-pinned",
    summary="read submitted, page swapped out, parent loads, parent stores, device writes; if the"
    " store copies because of the reference, the parent misses its read",
    setup=map_and_fill,
    threads={"io": io, "cpu": cpu},
    children={},
    order="io cpu cpu cpu io",
)
