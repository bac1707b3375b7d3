"""clear_refs, and no fork: a store to a page that a device is writing.

Somebody asks which pages are stored to from now on: every entry loses its write
bit. The parent stores, and do_wp_page is asked about a page that nobody shares
and a device holds.

Rule: a write fault must not take a device's reference for a sharer; or
clear_refs must leave alone what is held.
Source: Linux commit 9348b73c2e1b ("mm: don't play games with pinned pages in
clear_page_refs"); ground truth, case a4.
"""

from __future__ import annotations

from uemu.mm.hooks import PolicyHooks
from uemu.scenario.actions import ClearRefs, Store
from uemu.scenario.lost_read import io
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def cpu(stage: Stage) -> Script:
    """Clear the soft-dirty bits, store."""
    yield ClearRefs()
    yield Store(stage.buf, b"P")


def without_soft_dirty(hooks: PolicyHooks) -> str | None:
    """Why there is nothing to clear."""
    return None if hooks.has_soft_dirty else "there are no soft-dirty bits before v3.11"


SCENARIO = Scenario(
    name="clear-refs-while-pinned",
    summary="read submitted, clear_refs, parent stores, device writes; if the store copies because"
    " of the reference, the parent misses its read",
    setup=map_and_fill,
    threads={"io": io, "cpu": cpu},
    children={},
    order="io cpu cpu io",
    not_applicable=without_soft_dirty,
)
