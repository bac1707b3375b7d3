"""A page comes back from swap for a device that only reads it, and is written later.

Reclaim takes the page away. The parent registers it for a device to read, as VFIO
does: get_user_pages() takes a read fault, which maps the page read-only. The parent
loads, and stores: do_wp_page is asked about a page that one process has, and a device
holds. Nobody forks.

Rule: a page that one process alone had before it was swapped out is its own when it
is there again, whoever holds it.
Source: J. Gunthorpe, document 000 ("the swap issue is fixed directly with
PageAnonExclusive and no change to READ GUP is required"); D. Hildenbrand, document 001.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import DeviceLoads, Register, Release
from uemu.scenario.reclaim_vs_gup_fast import cpu, kswapd
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.swapcache_false_cow import one_page


def io(stage: Stage) -> Script:
    """Let a device read the page, now and later."""
    memory = yield Register(stage.buf, PAGE_SIZE, writable=False, api="vfio")
    yield DeviceLoads(memory, 0, PAGE_SIZE)
    yield Release(memory)


SCENARIO = Scenario(
    name="ro-pin-swapped-in",
    summary="page swapped out, registered for a device to read, parent loads, parent stores, device"
    " reads; if the store copies because of the reference, the device reads what the parent no"
    " longer has",
    setup=one_page,
    threads={"io": io, "cpu": cpu, "kswapd": kswapd},
    children={},
    order="kswapd io cpu cpu io io",
)
