"""`reverse_race` on a page of hugetlb: a direct write whose huge page fork shares already.

get_user_pages to read takes the huge page that parent and child map. Here it
was the older question of hugetlb_cow(), page_count, that kept the device's
frames from the child, and the mapcount, which came for another reason, that
gave them to it.

Rule: get_user_pages must break COW of a huge page for a device that reads, too,
or hugetlb_cow() must copy while anybody holds it.
Source: Linux v2.6.29 and v4.19, mm/hugetlb.c:hugetlb_cow, follow_hugetlb_page;
A. Arcangeli, 2009-03-16 13:56 ("always assume write=1 for hugetlb"), document 003.
"""

from __future__ import annotations

from uemu.scenario.actions import Complete, DirectWrite, WaitFor
from uemu.scenario.hugetlb_lost_read import HPAGE_SIZE, huge_page, without_hugetlb
from uemu.scenario.lost_read import child, cpu
from uemu.scenario.reverse_race import fork
from uemu.scenario.script import Scenario, Script, Stage


def io(stage: Stage) -> Script:
    """Write the huge page to the disk, once the child is there."""
    yield WaitFor("forked")
    write = yield DirectWrite(stage.buf, HPAGE_SIZE)
    yield Complete(write)


SCENARIO = Scenario(
    name="hugetlb-reverse-race",
    summary="fork, write of the shared page of hugetlb submitted, parent stores, child stores,"
    " device reads; if COW is neither broken at once nor on account of the reference, the device"
    " receives the child's bytes",
    setup=huge_page,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="fork io cpu child io",
    not_applicable=without_hugetlb,
)
