"""Memory that may only be read is written to a disk.

The parent fills a page, takes its own right to store away with mprotect and
writes the page out. A device will only read it, so nothing is wrong with that.
But a get_user_pages that insists on a writable entry, to be sure that nobody
shares the page, insists in vain: a fault leaves the entry of such an area
read-only, whatever it does to the page.

Rule: who wants COW broken must ask whether it is, not whether the entry is
writable.
Source: KOSAKI M., 2009-03-22 12:23, who writes down such a program and finds
it "very artifactical"; the hunk of follow_page in Message-ID
<20090316135654.GA17949@random.random> (A. Arcangeli, 2009-03-16), document 003.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE, PROT_READ
from uemu.scenario.actions import Complete, DirectWrite, Mprotect
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def setup(stage: Stage) -> Script:
    """Map and fill a page, then allow to read it only."""
    yield from map_and_fill(stage, nr_pages=1)
    yield Mprotect(stage.buf, PAGE_SIZE, PROT_READ)


def io(stage: Stage) -> Script:
    """Write the page to the disk."""
    write = yield DirectWrite(stage.buf, PAGE_SIZE)
    yield Complete(write)


SCENARIO = Scenario(
    name="ro-vma-odirect-write",
    summary="mprotect to read-only, write submitted, device reads; if gup waits for a writable"
    " entry, the parent never comes back from its write",
    setup=setup,
    threads={"io": io},
    children={},
    order="io io",
)
