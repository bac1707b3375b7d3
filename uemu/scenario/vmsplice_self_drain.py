"""A pipe that only the child would read.

The parent fills a pipe with a page and forks the process that is to read it.
Where fork waits until nobody holds a page of the parent, it waits for the
child that it would make.

Rule: fork must not wait for a reference whose end is somebody else's to bring
about.
Source: L. Torvalds, 2009-03-16 17:02 ("make vmsplice literally get a read-lock
for the whole IO operation"); N. Piggin, 17:19, of "the asynchronous reader on
the other end that you don't necessarily have control over", document 003.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Complete, DirectWrite, Fork
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def fork(stage: Stage) -> Script:
    """Fill a pipe, and fork who reads it."""
    stage.ios["pipe"] = yield DirectWrite(stage.buf, PAGE_SIZE, api="vmsplice")
    yield Fork("child")


def child(stage: Stage) -> Script:
    """Read the pipe."""
    yield Complete(stage.ios["pipe"])


SCENARIO = Scenario(
    name="vmsplice-self-drain",
    summary="pipe filled with a page, fork, child reads the pipe; if fork waits for the pipe to be"
    " read, the child never comes to be",
    setup=map_and_fill,
    threads={"fork": fork},
    children={"child": child},
    order="fork fork child",
)
