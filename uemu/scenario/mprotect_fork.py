"""A fork while a page under I/O is read-only by mprotect(2).

The parent takes the right to write away before it forks, as a snapshotting
program may, and gives it back afterwards. fork meets an entry that is
write-protected already. A kernel that looks for held pages only where it has
to write-protect an entry does not look here, shares the page, and the
parent's store leaves the frame that the disk writes.

Rule: whether fork may share a page does not depend on whether its entry is
writable now.
Source: the patch of Message-ID <20090316135654.GA17949@random.random> (A.
Arcangeli, 2009-03-16 13:56), document 003, whose copy_one_pte examines
writable entries only.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE, PROT_READ, PROT_WRITE
from uemu.scenario.actions import Fork, Mprotect, Store, WaitFor
from uemu.scenario.gup_fast_vs_fork import one_page
from uemu.scenario.mprotect_toggle_while_pinned import io
from uemu.scenario.script import Scenario, Script, Stage


def fork(stage: Stage) -> Script:
    """Fork while the page is read-only, then make it writable and store to it."""
    yield WaitFor("submitted")
    yield Mprotect(stage.buf, PAGE_SIZE, PROT_READ)
    yield Fork("child")
    yield Mprotect(stage.buf, PAGE_SIZE, PROT_READ | PROT_WRITE)
    yield Store(stage.buf, b"P")


SCENARIO = Scenario(
    name="mprotect-fork",
    summary="read submitted, mprotect to read-only, fork, mprotect back, parent stores, device"
    " writes; if fork examines writable entries only, the parent misses its read",
    setup=one_page,
    threads={"io": io, "fork": fork},
    children={},
    order="io fork fork fork fork io",
)
