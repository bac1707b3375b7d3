"""The lost read, with a child that touches nothing.

As `lost_read`, but the child only exists. That is enough: fork made the page
read-only, the parent's store copies it because the child's PTE counts, and
the frame the disk writes is left to the child.

Rule: fork or the write fault must leave the frame under I/O to its owner,
whatever the child does.
Source: Message-ID <20090311183748.GK27823@random.random> (A. Arcangeli,
2009-03-11: "Calling fork just generates O_DIRECT corruption in the parent
regardless of what the child does"), document 003; ground truth, case a1.
"""

from __future__ import annotations

from uemu.scenario.lost_read import cpu, fork, io
from uemu.scenario.script import Scenario, map_and_fill

SCENARIO = Scenario(
    name="lost-read-no-child-write",
    summary="read submitted, fork, parent stores, device writes; if the frame under I/O is not"
    " left to the parent, the parent misses its read although the child touched nothing",
    setup=map_and_fill,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={},
    order="io fork cpu io",
)
