"""gup-fast against reclaim.

Reclaim looks whether anybody holds the page, and unmaps it; gup-fast takes no
lock and may take the page in between. The parent then loads, so that the page
is mapped read-only, and stores. In the canonical order nothing of this happens;
it is for an explorer.

Rule: reclaim must look for references once nobody can take one any more.
Source: KOSAKI Motohiro, 2009-04-19, document 004 ("We lose the race against
get_user_pages_fast()"); document 002 (2021-09-29), who serialises with reclaim.
"""

from __future__ import annotations

from uemu.scenario.actions import Load, Signal, Store, SwapOut, WaitFor
from uemu.scenario.lost_read import io
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.swapcache_false_cow import one_page


def cpu(stage: Stage) -> Script:
    """Load and store once reclaim has been there."""
    yield WaitFor("swapped out")
    yield Load(stage.buf, 1)
    yield Store(stage.buf, b"P")


def kswapd(stage: Stage) -> Script:
    """Want the page."""
    yield SwapOut(stage.buf)
    yield Signal("swapped out")


SCENARIO = Scenario(
    name="reclaim-vs-gup-fast",
    summary="read submitted while the page is swapped out, parent loads, parent stores, device"
    " writes; if reclaim and gup-fast can miss each other, the parent misses its read",
    setup=one_page,
    threads={"io": io, "cpu": cpu, "kswapd": kswapd},
    children={},
    order="kswapd io cpu cpu io",
)
