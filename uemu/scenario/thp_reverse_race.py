"""The reverse race in a transparent huge page.

As `reverse_race`: the parent forks, then writes a page of a shared huge page
to a disk. gup-fast takes it from the huge entry, which is read-only. Where a
store of the parent copies the whole huge page, the child's then finds itself
alone on the old one, and the disk receives what the child stored.

Rule: get_user_pages must break COW for a device that reads, too; or a write
fault must copy while anybody holds the frame.
Source: document 003, N. Piggin, 2009-03-14 04:59, for base pages; Linux v4.19,
mm/gup.c:gup_huge_pmd, mm/huge_memory.c:do_huge_pmd_wp_page.
"""

from __future__ import annotations

from uemu.scenario.lost_read import child, cpu
from uemu.scenario.reverse_race import fork, io
from uemu.scenario.script import Scenario, needs_thp
from uemu.scenario.thp_lost_read import setup

SCENARIO = Scenario(
    name="thp-reverse-race",
    summary="fork, write of a page of the shared huge page submitted, parent stores, child stores,"
    " device reads; if COW is neither broken at once nor on account of the reference, the device"
    " receives the child's bytes",
    setup=setup,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="fork io cpu child io",
    not_applicable=needs_thp,
)
