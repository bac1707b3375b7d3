"""A pin by gup-fast against reclaim.

As `reclaim_vs_gup_fast`, with a registration: a FOLL_PIN, for kernels that tell
pins from other references. In the canonical order nothing of it happens; it is
for an explorer.

Rule: who looks for pins must not be passed by a gup-fast that takes one.
Source: P. Xu, L. Torvalds, J. Hubbard, J. Kara, 2021-09-29, document 002.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import DeviceStores, Register, Release
from uemu.scenario.reclaim_vs_gup_fast import cpu, kswapd
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.swapcache_false_cow import one_page


def io(stage: Stage) -> Script:
    """Register the page; the device writes into it."""
    memory = yield Register(stage.buf, PAGE_SIZE, writable=True, api="rdma")
    yield DeviceStores(memory, 1, b"D")
    yield Release(memory)


SCENARIO = Scenario(
    name="pin-vs-reclaim",
    summary="page registered while it is swapped out, parent loads, parent stores, device writes;"
    " if reclaim and a pin can miss each other, the parent misses what the device wrote",
    setup=one_page,
    threads={"io": io, "cpu": cpu, "kswapd": kswapd},
    children={},
    order="kswapd io cpu cpu io io",
)
