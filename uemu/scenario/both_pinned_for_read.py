"""Parent and child both write the page they share to a disk.

Each holds the same frame for a device that reads, and then each stores to its
own memory. Whoever keeps the frame puts bytes into it that the other one's
device must not receive: there is no right owner to leave the frame to, and
breaking COW in the direction of the first owner, as L. Torvalds proposed, is
no answer. Either get_user_pages breaks COW at once, or both stores must
leave the frame.

The child's write is asynchronous, so that it can store meanwhile.

Rule: of a frame that two processes hold for reading, neither store may reach
it.
Source: document 003, N. Piggin, 2009-03-14 05:20 ("you may have multiple
get_user_pages (for read) from the parent and child on the page, so there is
no way to COW it in the right direction"), against L. Torvalds, 2009-03-11
19:01; ground truth, case d1, where one of them holds it.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Complete, DirectWrite, Fork, Signal, Store, WaitFor
from uemu.scenario.forkscrew import no_aio
from uemu.scenario.gup_fast_vs_fork import one_page
from uemu.scenario.script import Scenario, Script, Stage


def io(stage: Stage) -> Script:
    """Write the page to the disk, once the child is there."""
    yield WaitFor("forked")
    write = yield DirectWrite(stage.buf, PAGE_SIZE)
    yield Signal("parent holds it")
    yield Complete(write)


def fork(stage: Stage) -> Script:
    """Fork, and store to the page when both hold it."""
    yield Fork("child")
    yield Signal("forked")
    yield WaitFor("both hold it")
    yield Store(stage.buf, b"P")


def child_io(stage: Stage) -> Script:
    """The interrupt that ends the child's write: it comes on a CPU of its parent's."""
    yield WaitFor("both hold it")
    yield Complete(stage.ios["child"])


def child(stage: Stage) -> Script:
    """Write the page to the disk, too, and store to it."""
    yield WaitFor("parent holds it")
    stage.ios["child"] = yield DirectWrite(stage.buf, PAGE_SIZE, aio=True)
    yield Signal("both hold it")
    yield Store(stage.buf, b"C")


SCENARIO = Scenario(
    name="both-pinned-for-read",
    summary="fork, parent and child submit writes of the shared page, parent stores, child stores,"
    " devices read; if COW is not broken at once and either store keeps the frame, the device of"
    " the other receives it",
    setup=one_page,
    threads={"io": io, "fork": fork, "child-io": child_io},
    children={"child": child},
    order="fork io child fork child io child-io",
    not_applicable=no_aio,
)
