"""fork copies a held page while another thread of the parent stores to it.

A kernel that gives the child a copy of a held page at once must decide what
the parent's other threads may do meanwhile. If they may store, or their TLBs
still let them, the copy can show the second of two stores without the first:
a state that the page never had, in which a lock may be taken by nobody. In
the canonical order nothing of this happens; it is for an explorer. The
device does not access the page: it only holds it.

Rule: a page that fork copies is write-protected, and flushed, before the copy
and during it.
Source: document 003, A. Arcangeli, 2009-03-12 17:00 ("the parent pte can't be
left writeable [...] or the copy will not be atomic"), N. Piggin, 2009-03-13
16:09.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Fork, Register, Release, Signal, Store, WaitFor
from uemu.scenario.gup_fast_vs_fork import one_page
from uemu.scenario.script import Scenario, Script, Stage


def cpu(stage: Stage) -> Script:
    """Store to the beginning of the page, then to its end; this CPU has stored there before."""
    yield WaitFor("held")
    yield Store(stage.buf, b"1")
    yield Store(stage.buf + PAGE_SIZE - 1, b"2")


def fork(stage: Stage) -> Script:
    """Fork, once the page is held."""
    yield WaitFor("held")
    yield Fork("child")


def io(stage: Stage) -> Script:
    """Let a device hold the page for a while."""
    memory = yield Register(stage.buf, PAGE_SIZE, writable=True, api="rdma")
    yield Signal("held")
    yield Release(memory)


SCENARIO = Scenario(
    name="fork-copy-tearing",
    summary="page held, fork copies it while another thread stores to its two ends; if that thread"
    " can still store during the copy, the child gets a page that never was",
    setup=one_page,
    threads={"cpu": cpu, "fork": fork, "io": io},
    children={},
    order="io fork cpu cpu io",
)
