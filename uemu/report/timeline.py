"""A run as rows in order: each decision of the kernel, who lived then, what was in flight.

What is told, and in which words, is `uemu.report.watching`'s. Processes and
transfers have places, which others have after them: columns of a drawing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from uemu.events import (
    Event,
    Forked,
    IoChecked,
    IoStarted,
    MmCreated,
    MmGone,
    PteSet,
    Waited,
)
from uemu.report.watching import MOST_PFNS, Moment, Watching

MOST: Final = 2000
"""Rows that are kept; a page of more is no help to anybody."""

VIOLATION: Final = "violation"

WORDS: Final[dict[type[Any], str]] = {
    MmCreated: "begins",
    MmGone: "ends",
    Forked: "fork",
    IoStarted: "takes pages",
    IoChecked: "over",
    PteSet: "write fault",
    Waited: "waits",
}
"""What a decision is about, in a word or two."""


@dataclass(frozen=True, slots=True)
class Row:
    """One decision.

    Attributes:
        number: from 1 on.
        at_ms: when it was told, after the first one.
        word: one of `WORDS`, or `VIOLATION`.
        who: the letter of a process, or ``device``.
        cpu: the thread, or "".
        text: what happened.
        pfns: the frames it is about.
        owners: who had the frames it is about, afterwards.
        place: the column of the process; None: the device's.
        child: the column of the process that it makes.
        alive: the columns of the processes there were, afterwards.
        flights: the column and the number of each transfer in flight during it.
        starts, ends: the numbers of those that begin and end with it.
    """

    number: int
    at_ms: float
    word: str
    who: str
    cpu: str
    text: str
    pfns: tuple[int, ...]
    owners: str
    place: int | None
    child: int | None
    alive: tuple[int, ...]
    flights: tuple[tuple[int, int], ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]


@dataclass(slots=True)
class Timeline:
    """Rows, as a run goes on.

    Attributes:
        clock: seconds, from anywhere.
        rows: the first of them.
        left_out: how many more there were.
        names: the processes by their letters.
    """

    clock: Callable[[], float]
    rows: list[Row] = field(default_factory=list)
    left_out: int = 0
    names: dict[str, str] = field(default_factory=dict)
    _watching: Watching = field(default_factory=Watching)
    _begun: float | None = None
    _columns: dict[int, int] = field(default_factory=dict)

    def event(self, event: Event) -> None:
        """Take an event in."""
        watching = self._watching
        places = {mm: lane.slot for mm, lane in watching.lanes.items()}
        before = set(watching.flights)
        moments = watching.see(event)
        places |= {mm: lane.slot for mm, lane in watching.lanes.items()}
        for lane in watching.lanes.values():
            self.names.setdefault(lane.label, lane.name)
        starts = tuple(io for io in watching.flights if io not in before)
        ends = tuple(io for io in before if io not in watching.flights)
        for io in starts:
            used = set(self._columns.values())
            self._columns[io] = next(at for at in range(len(used) + 1) if at not in used)
        for index, moment in enumerate(moments):
            # What begins does so with the first of them, what ends with the last.
            last = index == len(moments) - 1
            self._add(event, moment, places, () if index else starts, ends if last else ())
        for io in ends:
            del self._columns[io]

    def _add(
        self,
        event: Event,
        moment: Moment,
        places: dict[int, int],
        starts: tuple[int, ...],
        ends: tuple[int, ...],
    ) -> None:
        if len(self.rows) >= MOST and not moment.violation:
            self.left_out += 1
            return
        now, watching = self.clock(), self._watching
        if self._begun is None:
            self._begun = now
        word = VIOLATION if moment.violation else WORDS.get(type(event), "other")
        child = places.get(event.child) if isinstance(event, Forked) else None
        shown = () if moment.violation else moment.pfns[:MOST_PFNS]
        self.rows.append(
            Row(
                len(self.rows) + 1,
                (now - self._begun) * 1000,
                word,
                moment.who,
                moment.cpu,
                moment.text.removeprefix(f"{word}: ").removeprefix("VIOLATION "),
                moment.pfns,
                "; ".join(f"pfn {pfn}: {watching.owners(pfn)}" for pfn in shown),
                None if moment.mm is None else places.get(moment.mm),
                child,
                tuple(sorted(lane.slot for lane in watching.lanes.values())),
                tuple(sorted((at, io) for io, at in self._columns.items())),
                starts,
                ends,
            )
        )
