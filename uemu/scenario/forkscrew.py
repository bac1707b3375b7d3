"""forkscrew: an asynchronous read, a fork, and a second read beside the first.

The test program has three pages and two readers of a page's length each,
both 512 bytes off: the first read ends where the second begins, inside the
second page. The first is submitted with io_submit(2), which returns; then
comes the fork, then the second read. Its get_user_pages breaks COW of the
page in the middle, and the last 512 bytes of the first read go to a frame
that the parent has left. Who protects a read for as long as its system call
lasts does not protect this one.

Rule: a page is under I/O until the request is complete, not until the call
that submitted it returns.
Source: forkscrew.c (J. Moyer) in Message-ID
<20090316135654.GA17949@random.random> (A. Arcangeli, 2009-03-16); A. Arcangeli,
2009-03-16 18:37, and KAMEZAWA H., 2009-03-17 00:56, on AIO; document 003.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.mm.hooks import PolicyHooks
from uemu.scenario.actions import Fork, Load, Signal, WaitFor
from uemu.scenario.script import SECTOR, Scenario, Script, Stage, map_and_fill, read_disk


def setup(stage: Stage) -> Script:
    """Map and fill three pages."""
    yield from map_and_fill(stage, nr_pages=3)


def first(stage: Stage) -> Script:
    """Submit a read that begins in the first page and ends in the second."""
    data = b"D" * PAGE_SIZE
    yield from read_disk(stage.buf + SECTOR, data, aio=True, submitted="submitted")


def fork(stage: Stage) -> Script:
    """Fork, once the first read is under way."""
    yield WaitFor("submitted")
    yield Fork("child")
    yield Signal("forked")


def second(stage: Stage) -> Script:
    """Read where the first read ends, once the child is there."""
    yield WaitFor("forked")
    yield from read_disk(stage.buf + SECTOR + PAGE_SIZE, b"E" * PAGE_SIZE)


def child(stage: Stage) -> Script:
    """Look at what both read."""
    yield Load(stage.buf + SECTOR, 2 * PAGE_SIZE)


def no_aio(hooks: PolicyHooks) -> str | None:
    """Why the kernel cannot run it."""
    return None if hooks.has_aio else "io_submit(2) came with Linux 2.6"


SCENARIO = Scenario(
    name="forkscrew",
    summary="AIO read submitted, fork, second read submitted into the page where the first ends,"
    " device writes both; if the page is guarded no longer than the submitting call, the parent"
    " misses the end of its first read",
    setup=setup,
    threads={"first": first, "fork": fork, "second": second},
    children={"child": child},
    order="first fork second first second child",
    not_applicable=no_aio,
)
