"""A direct read over a fork whose child is gone before anybody stores.

The child exits, so nobody shares the page any more when the parent stores:
mapcount is 1 again. But the PTE stays read-only, the store traps, and a
kernel that asks for page_count finds the device's reference and copies,
although there is nobody to copy for.

Rule: a write fault must not take a device's reference for a sharer.
Source: ground truth, case a2: safe on 4.19, lost on 5.10 and 6.1.
"""

from __future__ import annotations

from uemu.scenario.actions import Exit, Signal, Store, WaitFor
from uemu.scenario.lost_read import fork, io
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def cpu(stage: Stage) -> Script:
    """Store to the beginning of the page, once the child is gone."""
    yield WaitFor("child is gone")
    yield Store(stage.buf, b"P")


def child(stage: Stage) -> Script:
    """Exit at once."""
    yield Exit()
    yield Signal("child is gone")


SCENARIO = Scenario(
    name="child-exits-first",
    summary="read submitted, fork, child exits, parent stores, device writes; if the write fault"
    " takes the device's reference for a sharer, the parent misses its read",
    setup=map_and_fill,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="io fork child cpu io",
)
