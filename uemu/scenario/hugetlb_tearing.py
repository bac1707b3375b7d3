"""fork copies a held page of hugetlb while another thread of the parent stores to it.

As `fork_copy_tearing`; but what is to be whole is a huge page, copied frame by
frame, and the two stores go to its first and its last. A copy that shows the
second without the first is a state that the page never had. In the canonical
order nothing of this happens; it is for an explorer. The device only holds it.

Rule: a huge page that fork copies is write-protected, and flushed, before the
copy and during it.
Source: A. Arcangeli, 2009-03-16 13:56, document 003, copy_hugetlb_page_range
("force atomic copy from parent to child"); Linux kernel commit 4eae4efa2c29
("hugetlb: do early cow when page pinned on src mm") (in v5.12), which does not.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Register, Release, Signal, Store, WaitFor
from uemu.scenario.fork_copy_tearing import fork
from uemu.scenario.hugetlb_lost_read import HPAGE_SIZE, huge_page, without_hugetlb
from uemu.scenario.script import Scenario, Script, Stage


def cpu(stage: Stage) -> Script:
    """Store to the beginning of the huge page, then to its end; this CPU has stored there."""
    yield WaitFor("held")
    yield Store(stage.buf, b"1")
    yield Store(stage.buf + HPAGE_SIZE - 1, b"2")


def io(stage: Stage) -> Script:
    """Let a device hold one page of it for a while."""
    memory = yield Register(stage.buf, PAGE_SIZE, writable=True, api="rdma")
    yield Signal("held")
    yield Release(memory)


SCENARIO = Scenario(
    name="hugetlb-tearing",
    summary="page of hugetlb held, fork copies it while another thread stores to its two ends; if"
    " that thread can still store during the copy, the child gets a page that never was",
    setup=huge_page,
    threads={"cpu": cpu, "fork": fork, "io": io},
    children={},
    order="io fork cpu cpu io",
    not_applicable=without_hugetlb,
)
