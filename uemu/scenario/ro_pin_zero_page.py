"""Untouched memory given to a device to read for long, and written later.

Nobody has touched the page yet, so a reference that only reads takes the page
of zeros, which every process shares. There is no fork: the parent's first
store gives it a page of its own, and the device goes on reading zeros.

Rule: as in `ro_longterm_pin`; the zero page is shared, too.
Source: Linux kernel commit 84209e87c696 ("mm/gup: reliable R/O long-term
pinning in COW mappings") (in v6.2); ground truth, case z1, where the reference
is a request's and gets the zero page on every kernel.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Mmap
from uemu.scenario.lost_read import cpu
from uemu.scenario.ro_longterm_pin import io
from uemu.scenario.script import Scenario, Script, Stage


def setup(stage: Stage) -> Script:
    """Map a page and leave it alone."""
    stage.buf = yield Mmap(PAGE_SIZE)


SCENARIO = Scenario(
    name="ro-pin-zero-page",
    summary="untouched page registered for a device to read, parent stores, device reads; if the"
    " reference is to the zero page, the device reads what the parent no longer has",
    setup=setup,
    threads={"io": io, "cpu": cpu},
    children={},
    order="io cpu io io",
)
