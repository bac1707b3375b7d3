"""The owner moves the buffer of a direct read that is in flight over a fork.

mremap(2) takes the frames along: the device holds the same one, and the read
appears at the new address. So does the old trouble: fork has write-protected
the page, and the parent's store at the new address breaks COW there. Who
guards the addresses of a request instead of its pages looks at the old place.

Rule: fork or the write fault must leave the frame under I/O to its owner,
wherever that maps it.
Source: document 003, the race of A. Arcangeli, 2009-03-11 18:37, at an address
that changed, and the patch of KAMEZAWA H., 2009-03-16 23:59, which goes by
addresses; Linux mm/mremap.c:move_ptes.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Fork, Mremap, Store, WaitFor
from uemu.scenario.gup_fast_vs_fork import one_page
from uemu.scenario.mprotect_toggle_while_pinned import io
from uemu.scenario.script import Scenario, Script, Stage


def fork(stage: Stage) -> Script:
    """Fork, move the buffer, and store to its beginning."""
    yield WaitFor("submitted")
    yield Fork("child")
    stage.buf = yield Mremap(stage.buf, PAGE_SIZE, PAGE_SIZE)
    yield Store(stage.buf, b"P")


SCENARIO = Scenario(
    name="mremap-in-flight",
    summary="read submitted, fork, parent moves the buffer and stores to it, device writes; if the"
    " frame under I/O is not left to the parent at its new address, the parent misses its read",
    setup=one_page,
    threads={"io": io, "fork": fork},
    children={},
    order="io fork fork fork io",
)
