"""mprotect(2) to read-only and back while a direct read is in flight; no fork.

The second mprotect(2) does not make the entry writable again: in a private
mapping that is left to the next write fault. So the parent's store asks
do_wp_page who else has the page, and a kernel that asks for references
instead of mappings finds the device and copies, although the page was never
shared with anybody.

Rule: a write fault must not take a device's reference for a sharer.
Source: ground truth, case a3: lost on 5.10, for gets and pins alike, kept on
4.19, 6.1 and 6.18.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE, PROT_READ, PROT_WRITE
from uemu.scenario.actions import Mprotect, Store, WaitFor
from uemu.scenario.gup_fast_vs_fork import one_page
from uemu.scenario.script import LAST_SECTOR, SECTOR, Scenario, Script, Stage, read_disk


def io(stage: Stage) -> Script:
    """Read a sector from the disk into the end of the page."""
    yield from read_disk(stage.buf + LAST_SECTOR, b"D" * SECTOR, submitted="submitted")


def cpu(stage: Stage) -> Script:
    """Take the right to write away and give it back, then store to the page."""
    yield WaitFor("submitted")
    yield Mprotect(stage.buf, PAGE_SIZE, PROT_READ)
    yield Mprotect(stage.buf, PAGE_SIZE, PROT_READ | PROT_WRITE)
    yield Store(stage.buf, b"P")


SCENARIO = Scenario(
    name="mprotect-toggle-while-pinned",
    summary="read submitted, mprotect to read-only and back, parent stores, device writes; if the"
    " write fault takes the device's reference for a sharer, the parent misses its read",
    setup=one_page,
    threads={"io": io, "cpu": cpu},
    children={},
    order="io cpu cpu cpu io",
)
