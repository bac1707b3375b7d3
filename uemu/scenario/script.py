"""A scenario as a text: who does what, and the order in which it is told.

A script is a generator that yields actions and is sent what they return.
Between two actions it may compute, and it may use the `Stage`; what one
thread puts there another may use only behind a Signal that the first gave
afterwards, since nothing else orders the two.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from uemu.abi import PAGE_SIZE
from uemu.errors import Fault
from uemu.mm.hooks import PolicyHooks
from uemu.scenario.actions import (
    HPAGE_NR,
    Action,
    Complete,
    DirectRead,
    IoHandle,
    Mmap,
    Signal,
    Store,
)

Script = Generator[Action, Any, None]
"""What a thread does: yields actions, is sent their results."""

SECTOR = 512
"""Bytes a transfer moves unless its scenario says otherwise."""

LAST_SECTOR = PAGE_SIZE - SECTOR
"""Where in its page such a transfer lies; CPUs store to byte 0 of the same page."""


def _always(hooks: PolicyHooks) -> str | None:
    """It can exist under every kernel."""
    return None


@dataclass
class Stage:
    """What the scripts of one run share.

    Attributes:
        buf: the address of the buffer, once the setup mapped it.
        ios: I/O that one thread submits and another completes, by any name.
    """

    buf: int = 0
    ios: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """A small program, its threads and its canonical order.

    Attributes:
        name: what people call it: ``lost-read``.
        summary: the actions in order; "if RULE is missed, WHO sees WHAT".
        setup: run by the process ``parent``, on the CPU of its first thread,
            before anything else.
        threads: the threads of ``parent`` by name, in the order of columns.
        children: the scripts of processes by the name that Fork gives them;
            each begins when that fork is over.
        order: names of threads and children, one for each turn: the next
            action of that thread, with the waits before it and the signals
            after it.
        not_applicable: why it cannot exist under a kernel, or None.
        hpage_nr: how many pages a huge page has; no rule depends on it.
        frame_limit: how many page frames there are once it is set up; None: enough.
        not_live: why real processes cannot show it, or None.
        sizes: of a *scale scenario*, whose costs are its point: two sizes in
            pages, the first its own. What it costs grows by the page, so that two
            sizes tell of any other.
        at: makes it with so many pages.
    """

    name: str
    summary: str
    setup: Callable[[Stage], Script]
    threads: dict[str, Callable[[Stage], Script]]
    children: dict[str, Callable[[Stage], Script]]
    order: str
    not_applicable: Callable[[PolicyHooks], str | None] = _always
    not_live: str | None = None
    frame_limit: int | None = None
    hpage_nr: int = HPAGE_NR
    sizes: tuple[int, int] | None = None
    at: Callable[[int], Scenario] | None = None


SIZES = (4, 68)
"""Pages of a scale scenario; between the two lies one call of get_user_pages, 64 pages."""


def map_and_fill(stage: Stage, nr_pages: int = 2) -> Script:
    """Map ``stage.buf`` and fill it with ``I``: the usual setup.

    With two pages the second is nobody's buffer: it is shared by every fork
    as any page is.
    """
    stage.buf = yield Mmap(nr_pages * PAGE_SIZE)
    yield Store(stage.buf, b"I" * (nr_pages * PAGE_SIZE))


def map_huge_and_fill(stage: Stage, huge: str) -> Script:
    """Map a huge page of that kind, and fill it with ``I``."""
    stage.buf = yield Mmap(HPAGE_NR * PAGE_SIZE, huge=huge)
    yield Store(stage.buf, b"I" * (HPAGE_NR * PAGE_SIZE))


def needs_thp(hooks: PolicyHooks) -> str | None:
    """Why there is no such cell under a kernel without transparent huge pages."""
    return None if hooks.has_thp else "transparent huge pages came with v2.6.38"


def read_disk(addr: int, data: bytes, *, aio: bool = False, submitted: str = "") -> Script:
    """Read ``data`` from a disk to ``addr``: submitted in one turn, complete in the next.

    Where O_DIRECT refuses the buffer (EINVAL), the program reads through the
    page cache in the second turn: read(2) then stores the bytes with a CPU,
    or returns EFAULT if nothing is mapped there by then.

    Args:
        aio: the call that submits it returns at once.
        submitted: what to signal in between, if anything.
    """
    read: IoHandle = None
    try:
        read = yield DirectRead(addr, len(data), aio=aio)
    except Fault as fault:
        if fault.errno != errno.EINVAL:
            raise
    if submitted:
        yield Signal(submitted)
    if read is not None:
        yield Complete(read, data)
        return
    try:
        yield Store(addr, data)
    except Fault as fault:
        if fault.errno != errno.EFAULT:
            raise
