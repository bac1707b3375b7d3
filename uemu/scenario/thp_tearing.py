"""fork copies a held huge page while another thread of the parent stores to it.

As `fork_copy_tearing`, but the page is one of a transparent huge page. A
kernel that must copy what is held splits the parent's entry first, which
write-protects nothing, and then copies page by page: every page of the huge
page, for they are all held if one is. In the canonical order nothing of this
happens; it is for an explorer.

Rule: a page that fork copies is write-protected, and flushed, before the copy
and during it.
Source: Linux v5.9, mm/huge_memory.c:copy_huge_pmd (-EAGAIN), mm/memory.c:
copy_present_page; document 003, A. Arcangeli, 2009-03-12 17:00.
"""

from __future__ import annotations

from uemu.scenario.fork_copy_tearing import cpu, fork, io
from uemu.scenario.script import Scenario, needs_thp
from uemu.scenario.thp_lost_read import setup

SCENARIO = Scenario(
    name="thp-tearing",
    summary="a page of a huge page held, fork copies it while another thread stores to its two"
    " ends; if that thread can still store during the copy, the child gets a page that never was",
    setup=setup,
    threads={"cpu": cpu, "fork": fork, "io": io},
    children={},
    order="io fork cpu cpu io",
    not_applicable=needs_thp,
)
