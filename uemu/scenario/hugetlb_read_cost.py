"""What it costs to hold the pages of a huge page at once, and nothing else happens.

As `big_read_cost`, of the 64 pages of one page of hugetlb, which has been read
into before. gup-fast takes them with one instruction: it adds 64 to the count of
the head. A kernel that marks, orders and looks again for each page takes each by
itself.

Rule: none; it is the price of protecting pages where they are taken.
Source: N. Piggin, 2009-03-16 16:01 ("You lost the get_head_page_multiple too for
huge pages. This is the path that Oracle/DB2 will always go down"), document 003.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Mmap, Store
from uemu.scenario.hugetlb_lost_read import without_hugetlb
from uemu.scenario.script import Scenario, Script, Stage, read_disk

NR_PAGES = 64
"""As many as one call of get_user_pages takes."""


def io(stage: Stage) -> Script:
    """Read into all of the huge page."""
    yield from read_disk(stage.buf, b"D" * (NR_PAGES * PAGE_SIZE))


def read_before(stage: Stage) -> Script:
    """Map and fill one page of hugetlb, and read into it for the first time."""
    stage.buf = yield Mmap(NR_PAGES * PAGE_SIZE, huge="hugetlb")
    yield Store(stage.buf, b"I" * (NR_PAGES * PAGE_SIZE))
    yield from io(stage)


SCENARIO = Scenario(
    name="hugetlb-read-cost",
    summary="read of all pages of a huge page submitted, device writes; if gup does something for"
    " every page that it holds, the parent pays for it without a fork",
    setup=read_before,
    threads={"io": io},
    children={},
    order="io io",
    not_applicable=without_hugetlb,
    hpage_nr=NR_PAGES,
)
