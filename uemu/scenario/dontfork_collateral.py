"""What MADV_DONTFORK costs: the other half of the page.

Half a page is registered with a device, and the whole page is kept from
children, for advice is about pages. What lies in the other half, on the heap
anything may, is not there for the child either: it gets SIGSEGV where it
expected a copy. The parent's memory and the device's are as they should be.

Rule: none of a kernel's; the remedy is in pages, and buffers are not.
Source: madvise(2), MADV_DONTFORK; ground truth, case e1: the child has neither
half. B. Herrenschmidt, 2009-03-14 05:06, document 003, of a library deep in a
program that does not know of it.
"""

from __future__ import annotations

import contextlib

from uemu.abi import MADV_DONTFORK, PAGE_SIZE
from uemu.errors import Fault
from uemu.scenario.actions import DeviceStores, Load, Madvise, Register, Release
from uemu.scenario.lost_read import cpu, fork
from uemu.scenario.script import SECTOR, Scenario, Script, Stage, map_and_fill

HALF = PAGE_SIZE // 2


def setup(stage: Stage) -> Script:
    """Map and fill two pages, and keep the first from children."""
    yield from map_and_fill(stage)
    yield Madvise(stage.buf, PAGE_SIZE, MADV_DONTFORK)


def io(stage: Stage) -> Script:
    """Let a device write the second half of the page."""
    memory = yield Register(stage.buf + HALF, HALF, writable=True, api="rdma")
    yield DeviceStores(memory, HALF - SECTOR, b"D" * SECTOR)
    yield Release(memory)


def child(stage: Stage) -> Script:
    """Look for what the parent had in the first half, and on the second page."""
    with contextlib.suppress(Fault):
        yield Load(stage.buf, 1)
    yield Load(stage.buf + PAGE_SIZE, 1)


SCENARIO = Scenario(
    name="dontfork-collateral",
    summary="MADV_DONTFORK, half a page registered, fork, parent stores, child loads from the"
    " other half, device writes; if what lies beside a buffer is kept from fork too, the child gets"
    " SIGSEGV",
    setup=setup,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="io fork cpu child child io io",
)
