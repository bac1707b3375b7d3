"""`lost_read` on a page of hugetlb: the read has its last sector, the stores go to its first byte.

fork, the write fault and get_user_pages of hugetlb have functions of their own.
fork shares a huge page that is under I/O as it shares any; what differs is the
question that hugetlb_cow() asks. While it asked page_count (up to v2.6.35) both
stores left the frames to the device; since it asks the mapcount the child's
takes them over.

Rule: fork or the write fault must leave the huge page under I/O to its owner.
Source: ground truth, case h1; Linux v2.6.29 and v4.19, mm/hugetlb.c:hugetlb_cow.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.mm.hooks import PolicyHooks
from uemu.scenario.actions import HPAGE_NR
from uemu.scenario.lost_read import child, cpu, fork
from uemu.scenario.script import (
    SECTOR,
    Scenario,
    Script,
    Stage,
    map_huge_and_fill,
    read_disk,
)

HPAGE_SIZE = HPAGE_NR * PAGE_SIZE


def huge_page(stage: Stage) -> Script:
    """Map and fill one page of hugetlb."""
    yield from map_huge_and_fill(stage, "hugetlb")


def without_hugetlb(hooks: PolicyHooks) -> str | None:
    """Why there is no such cell under a kernel whose hugetlb is always shared."""
    return None if hooks.has_hugetlb else "hugetlb is copied on write since v2.6.16"


def io(stage: Stage) -> Script:
    """Read a sector from the disk into the end of the huge page."""
    yield from read_disk(stage.buf + HPAGE_SIZE - SECTOR, b"D" * SECTOR)


SCENARIO = Scenario(
    name="hugetlb-lost-read",
    summary="read into hugetlb submitted, fork, parent stores, child stores, device writes; if the"
    " frames under I/O are not left to the parent, the parent misses its read and the child may"
    " see it",
    setup=huge_page,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="io fork cpu child io",
    not_applicable=without_hugetlb,
)
