"""A direct read, reclaim, and then the fork: it finds a swap entry.

Reclaim has unmapped the page that a disk is writing; it is in the swap cache.
fork meets no page there, only an entry, and shares that unexamined: whatever a
kernel does at fork for the sake of held pages, it does not do it here. The
parent's store finds two who name the slot, and copies.

Rule: reclaim must leave alone what is held; or fork must look behind an entry.
Source: Linux v2.6.29, mm/memory.c:copy_one_pte, do_swap_page; A. Arcangeli,
2009-03-17 12:19, document 003.
"""

from __future__ import annotations

from uemu.scenario.actions import Fork, Store, SwapOut
from uemu.scenario.lost_read import io
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def cpu(stage: Stage) -> Script:
    """Lose the page to reclaim, fork, store."""
    yield SwapOut(stage.buf)
    yield Fork("child")
    yield Store(stage.buf, b"P")


SCENARIO = Scenario(
    name="swapped-out-pinned-then-fork",
    summary="read submitted, page swapped out, fork, parent stores, device writes; if fork shares"
    " the swap entry of a held page, the parent misses its read",
    setup=map_and_fill,
    threads={"io": io, "cpu": cpu},
    children={},
    order="io cpu cpu cpu io",
)
