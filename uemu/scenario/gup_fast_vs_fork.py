"""get_user_pages_fast() against fork, as L. Torvalds drew it.

        CPU0:                   CPU1

        gup:                    fork:
         - look up page
         - it's read-write
        ...
                                set_wr_protect
                                test GUP bit - not set, good
                                done

        - Mark it GUP
                                tlb_flush

                                write to it from user space - COW

gup-fast takes no lock: whatever a kernel does at fork for the sake of held
pages, it must still be right when the page is looked up before fork comes by
and held after. In the canonical order nothing of this happens; it is for an
explorer. One page only, so that all orders can be run.

Rule: of gup-fast and fork, whoever comes second must see the other.
Source: Message-ID <alpine.LFD.2.00.0903111150120.32478@localhost.localdomain>
(L. Torvalds, 2009-03-11 19:01), document 003.
"""

from __future__ import annotations

from uemu.scenario.actions import Fork, Store
from uemu.scenario.lost_read import io
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def fork(stage: Stage) -> Script:
    """Fork, and store to the page."""
    yield Fork("child")
    yield Store(stage.buf, b"P")


def one_page(stage: Stage) -> Script:
    """Map and fill one page."""
    yield from map_and_fill(stage, nr_pages=1)


SCENARIO = Scenario(
    name="gup-fast-vs-fork",
    summary="read submitted while another thread forks and stores, device writes; if fork and"
    " gup-fast can miss each other, the parent misses its read",
    setup=one_page,
    threads={"io": io, "fork": fork},
    children={},
    order="io fork fork io",
)
