"""`child_exits_first` on a page of hugetlb: the child is gone before anybody stores.

Nobody shares the huge page any more when the parent stores, and its entry is
read-only still. Who asks the mapcount finds that out. Who asks page_count
finds the device, and copies.

Rule: hugetlb_cow() must not take a device's reference for a sharer.
Source: ground truth, case h2: safe on 4.19, 5.10 and 6.1, where case a2, the
same with small pages, is lost on the latter two.
"""

from __future__ import annotations

from uemu.scenario.child_exits_first import child, cpu
from uemu.scenario.hugetlb_lost_read import huge_page, io, without_hugetlb
from uemu.scenario.lost_read import fork
from uemu.scenario.script import Scenario

SCENARIO = Scenario(
    name="hugetlb-child-exits-first",
    summary="read into hugetlb submitted, fork, child exits, parent stores, device writes; if the"
    " write fault takes the device's reference for a sharer, the parent misses its read",
    setup=huge_page,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="io fork child cpu io",
    not_applicable=without_hugetlb,
)
