"""A timeline of hand-made events: a read that a fork and a store make lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from tests.report.program_runs import LOST, SEEN, made_result
from uemu.events import (
    DeviceWrote,
    Event,
    Forked,
    Frame,
    Held,
    IoChecked,
    IoStarted,
    MmCreated,
    MmGone,
    PageCopied,
    PteSet,
)
from uemu.live.program.result import RunResult
from uemu.oracle.held import HeldBuffer
from uemu.report.timeline import Timeline

PARENT, CHILD, BASE = 0, 1, 0x10000
DATA = b"D" * 512

EVENTS: tuple[Event, ...] = (
    MmCreated(PARENT, "reader<b>[4711]", None),
    PteSet("t1", PARENT, BASE, None, 0, True),
    IoStarted("t1", 1, "o_direct", True, False, False, False, (Held(PARENT, BASE, 0, 0, 512),)),
    MmCreated(CHILD, "child 1 of reader<b>[4711]", PARENT),
    PteSet("t2", PARENT, BASE, 0, 0, False),
    PteSet("t2", CHILD, BASE, None, 0, False),
    Forked("t2", PARENT, CHILD),
    PageCopied("t1", PARENT, BASE, 0, 1, "wp_page_copy"),
    PteSet("t1", PARENT, BASE, 0, 1, True),
    DeviceWrote(1, 0, 0, DATA),
    IoChecked("t1", 1, ((1, b"I" * 512),), True),
    MmGone(CHILD),
    MmGone(PARENT),
)


def made_timeline(events: Iterable[Event] = EVENTS) -> Timeline:
    """The events, a millisecond apart."""
    ticks = count()
    timeline = Timeline(lambda: next(ticks) / 1000)
    for event in events:
        timeline.event(event)
    return timeline


def made_violations() -> RunResult:
    """What that run gives, with a stack and a buffer."""
    frame = Frame(1, "/bin/reader", "read_once", "src/reader.c", 55)
    buffer = HeldBuffer(BASE, BASE + 512, "o_direct", False, False)
    story = (replace(LOST.story[0], stack=(frame,)), *LOST.story[1:])
    lost = replace(LOST, story=story, buffer=buffer)
    return made_result(lost, replace(SEEN, story=story, buffer=buffer), notes=("a <note>",))
