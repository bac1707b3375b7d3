"""lost-read in a transparent huge page.

As `lost_read`, but the buffer lies in a huge page: fork shares all of it at
once, and the stores that break COW are to the page that a device writes. Up
to v5.7 the parent gets a copy of the whole huge page and the child, alone on
what is left, takes it over. Since v5.8 the parent's entry is split and one
page of it is copied; the child then finds that the others are still shared,
splits and copies, too, so that nobody maps the frame.

Rule: fork or the write fault must leave the frame under I/O to its owner,
also where it is a part of something bigger.
Source: ground truth, case t1; Linux kernel commit 3917c80280c9 ("thp: change
CoW semantics for anon-THP") (in v5.8).
"""

from __future__ import annotations

from uemu.scenario.lost_read import child, cpu, fork, io
from uemu.scenario.script import Scenario, Script, Stage, map_huge_and_fill, needs_thp


def setup(stage: Stage) -> Script:
    """Map and fill a huge page."""
    yield from map_huge_and_fill(stage, "thp")


SCENARIO = Scenario(
    name="thp-lost-read",
    summary="read into a huge page submitted, fork, parent stores, child stores, device writes; if"
    " the frame under I/O is not left to the parent, the parent misses its read",
    setup=setup,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="io fork cpu child io",
    not_applicable=needs_thp,
)
