"""A fork in the middle of an update of two words, and no I/O at all.

A thread links a list: it stores one word, then the other, in one page. Another
thread forks in between. fork's copy of a page is some state that the page had;
that it is a state between two updates nobody promised, unless who forks and who
updates take a lock. In the canonical order the child finds half an update.

Rule: none is broken; what a threaded program may expect of fork is its own affair.
Source: Message-ID <20090316135654.GA17949@random.random> (A. Arcangeli,
2009-03-16), document 003: the list of stacks in the C library of that time,
found by dma_thread.c.
"""

from __future__ import annotations

from uemu.scenario.actions import Load, Store
from uemu.scenario.lost_read import fork
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill

NEXT, PREV = 0, 8
"""Where in the page the two words lie."""


def cpu(stage: Stage) -> Script:
    """Store one word, then the other."""
    yield Store(stage.buf + NEXT, b"N")
    yield Store(stage.buf + PREV, b"N")


def child(stage: Stage) -> Script:
    """Load both."""
    yield Load(stage.buf + NEXT, 1)
    yield Load(stage.buf + PREV, 1)


def one_page(stage: Stage) -> Script:
    """Map and fill one page."""
    yield from map_and_fill(stage, nr_pages=1)


SCENARIO = Scenario(
    name="fork-mid-update",
    summary="one word stored, fork, the other word stored, child loads both; if no lock of the"
    " program's keeps fork out, the child finds half an update",
    setup=one_page,
    threads={"fork": fork, "cpu": cpu},
    children={"child": child},
    order="cpu fork cpu child child",
)
