"""`vmsplice_child_leak` on a page of hugetlb: CVE-2020-29374, which is there to this day.

The child puts the huge page that it shares with its parent into a pipe and
unmaps it. do_wp_page() has asked page_count since v5.9, and finds the pipe;
hugetlb_cow() asks the mapcount, finds nobody, and lets the parent store its
secret into what the child reads. The kernel's own tests expect that.

Rule: hugetlb_cow() must not reuse a page that anybody refers to; or a
reference must not be to a page that others map.
Source: Linux kernel commits 7dad331be781 ("selftests/vm: anon_cow: hugetlb
tests"), 4bf6a4ebc592 ("selftests: mm: cow: flag vmsplice() hugetlb tests as
XFAIL") and b8a2528835b3 ("mm/hugetlb: document why hugetlb uses
folio_mapcount() for COW reuse decisions") (both in v6.10).
"""

from __future__ import annotations

from uemu.scenario.actions import Complete, DirectWrite, Munmap
from uemu.scenario.hugetlb_lost_read import HPAGE_SIZE, huge_page, without_hugetlb
from uemu.scenario.lost_read import fork
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.vmsplice_child_leak import cpu


def child(stage: Stage) -> Script:
    """Keep the huge page in a pipe and nowhere else, and look into the pipe later."""
    pipe = yield DirectWrite(stage.buf, HPAGE_SIZE, api="vmsplice")
    yield Munmap(stage.buf, HPAGE_SIZE)
    yield Complete(pipe)


SCENARIO = Scenario(
    name="hugetlb-vmsplice-child-leak",
    summary="fork, child fills a pipe with the shared page of hugetlb and unmaps it, parent stores"
    " a secret, child reads the pipe; if the write fault asks only who maps the page, the child"
    " reads the secret",
    setup=huge_page,
    threads={"fork": fork, "cpu": cpu},
    children={"child": child},
    order="fork child child cpu child",
    not_applicable=without_hugetlb,
)
