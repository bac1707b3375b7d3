"""A direct read into one page of a transparent huge page, a store to another.

Nobody stores to the page that a device writes, before or after the fork. On
base pages nothing could happen to the parent. In a huge page it depends on
what a write fault copies: the whole of it, and the parent has left the frame
under I/O with all the others (up to v5.7), or the one page that is stored to
(since v5.8), and only the child sees what the device writes.

Rule: a write fault copies the page that is stored to, and no other.
Source: ground truth, case t3: lost on 4.19, safe on 5.10 and later; Linux
kernel commit 3917c80280c9 ("thp: change CoW semantics for anon-THP") (in v5.8).
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.lost_read import cpu, fork
from uemu.scenario.script import LAST_SECTOR, SECTOR, Scenario, Script, Stage, needs_thp, read_disk
from uemu.scenario.thp_lost_read import setup


def io(stage: Stage) -> Script:
    """Read a sector from the disk into the end of the third page."""
    yield from read_disk(stage.buf + 2 * PAGE_SIZE + LAST_SECTOR, b"D" * SECTOR)


SCENARIO = Scenario(
    name="thp-other-subpage",
    summary="read into a page of a huge page submitted, fork, parent stores to another page of it,"
    " device writes; if the write fault copies the whole huge page, the parent misses its read",
    setup=setup,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={},
    order="io fork cpu io",
    not_applicable=needs_thp,
)
