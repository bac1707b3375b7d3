"""child-exits-first in a transparent huge page.

As `child_exits_first`: when the parent stores nobody shares the huge page any
more. Whether it is reused whole is a question of its own: up to v5.17 the
mapcounts are asked, also by the kernels (v5.9 to v5.17) that ask for
page_count where the page is small, and lose this read there. Since v5.18 it
is page_count here, too.

Rule: a write fault must not take a device's reference for a sharer.
Source: ground truth, case t2: safe on 4.19 and 5.10, lost on 6.1; case a2,
the base page: lost on 5.10, too.
"""

from __future__ import annotations

from uemu.scenario.child_exits_first import child, cpu
from uemu.scenario.lost_read import fork, io
from uemu.scenario.script import Scenario, needs_thp
from uemu.scenario.thp_lost_read import setup

SCENARIO = Scenario(
    name="thp-child-exits-first",
    summary="read into a huge page submitted, fork, child exits, parent stores, device writes; if"
    " the write fault takes the device's reference for a sharer, the parent misses its read",
    setup=setup,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="io fork child cpu io",
    not_applicable=needs_thp,
)
