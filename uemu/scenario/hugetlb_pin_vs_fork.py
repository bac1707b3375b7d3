"""get_user_pages_fast() with FOLL_PIN against fork, on a page of hugetlb.

As `gup_fast_vs_fork`, with a registration: a FOLL_PIN that goes fast, for
kernels that copy at fork what is pinned. fork looks for pins and only then
write-protects the huge entry; a gup-fast that reads the entry before and adds
its pin after fork has looked finds it unchanged still. In the canonical order
nothing of it happens; it is for an explorer.

Rule: fork must see every pin of a huge page that stays.
Source: D. Hildenbrand, 2022-04-28, document 001; Linux kernel commit
623a1ddfeb23 ("mm/hugetlb: take src_mm->write_protect_seq in
copy_hugetlb_page_range()") (in v5.19).
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import DeviceStores, Register, Release
from uemu.scenario.gup_fast_vs_fork import fork
from uemu.scenario.hugetlb_lost_read import huge_page, without_hugetlb
from uemu.scenario.script import Scenario, Script, Stage


def io(stage: Stage) -> Script:
    """Register the first page of the huge page; the device writes into it."""
    memory = yield Register(stage.buf, PAGE_SIZE, writable=True, api="rdma")
    yield DeviceStores(memory, 1, b"D")
    yield Release(memory)


SCENARIO = Scenario(
    name="hugetlb-pin-vs-fork",
    summary="page of hugetlb registered while another thread forks and stores, device writes; if"
    " fork and gup-fast can miss each other, the parent misses what the device wrote",
    setup=huge_page,
    threads={"io": io, "fork": fork},
    children={},
    order="io fork fork io io",
    not_applicable=without_hugetlb,
)
