"""What a watched run shows now, kept from its events: lanes, frames, transfers, decisions.

A *lane* is a process and its threads, and has a letter. A *moment* is one
decision in a line: a fork, a store that copies a page or keeps it, pages that
are taken, a transfer that is over, a violation as soon as it is one. How that
looks is others' to say: `uemu.report.watch_text`, `uemu.report.watch_screen`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any, Final

from uemu.events import (
    DeviceRead,
    DeviceWrote,
    Event,
    EventBus,
    Forked,
    IoChecked,
    IoStarted,
    MmCreated,
    MmGone,
    MmId,
    PageCopied,
    PageFreed,
    PteSet,
    Waited,
)
from uemu.oracle.judge import Oracle

RW: Final = "rw"
RO: Final = "r-"
DEVICE: Final = "device"

MOST_PFNS: Final = 6
"""So many numbers of frames are named in a line."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One decision.

    Attributes:
        mm: whose lane it is in; None: the device's.
        who: its letter, or ``device``.
        cpu: the thread, or "".
        text: what happened, in a line.
        pfns: the frames it is about.
        violation: whether a property was violated.
    """

    mm: MmId | None
    who: str
    cpu: str
    text: str
    pfns: tuple[int, ...] = ()
    violation: bool = False


@dataclass(slots=True)
class Lane:
    """A process: its letter, its name, its place among the lanes, what its threads did last."""

    label: str
    name: str
    slot: int
    threads: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Flight:
    """A transfer or registration under way.

    Attributes:
        moved: the bytes that the device has accessed so far.
    """

    started: IoStarted
    moved: int = 0

    @property
    def mm(self) -> MmId:
        """Whose memory it is."""
        return self.started.held[0].mm

    @property
    def pfns(self) -> tuple[int, ...]:
        """The frames it holds."""
        return tuple({held.pfn: None for held in self.started.held})

    @property
    def length(self) -> int:
        """Its bytes."""
        return sum(held.length for held in self.started.held)

    @property
    def way(self) -> str:
        """What the device does with the memory."""
        if self.started.from_device and self.started.to_device:
            return "reads and writes"
        return "writes" if self.started.from_device else "reads"


@dataclass(slots=True)
class _Fork:
    """A fork under way: what the child got."""

    shared: dict[int, None] = field(default_factory=dict)
    copied: dict[int, int] = field(default_factory=dict)


class Watching:
    """The state of a run, and what each event changes of it.

    Attributes:
        lanes: the processes that live.
        frames: who maps a frame, and how: pfn to mm to ``rw`` or ``r-``.
        flights: what devices hold, by number.
    """

    def __init__(self) -> None:
        self.lanes: dict[MmId, Lane] = {}
        self.frames: dict[int, dict[MmId, str]] = {}
        self.flights: dict[int, Flight] = {}
        self._born = 0
        self._forks: dict[MmId, _Fork] = {}
        self._told: list[Moment] = []
        self._bus = EventBus(keep=1)
        self._oracle = Oracle(self._bus)
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            MmCreated: self._created,
            MmGone: self._gone,
            PteSet: self._pte_set,
            PageCopied: self._copied,
            PageFreed: self._freed,
            Forked: self._forked,
            IoStarted: self._started,
            DeviceWrote: self._moved,
            DeviceRead: self._moved,
            IoChecked: self._checked,
            Waited: self._waited,
        }

    def see(self, event: Event) -> list[Moment]:
        """Take an event in; the moments it makes, most often none."""
        self._told = []
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)
        known = len(self._oracle.violations)
        self._bus.emit(event)
        for violation in self._oracle.violations[known:]:
            pfns = () if violation.pfn is None else (violation.pfn,)
            text = f"VIOLATION {violation.kind}: {self.brief(violation.message)}"
            self._told.append(Moment(None, DEVICE, "", text, pfns, True))
        for moment in self._told:
            lane = self.lanes.get(moment.mm) if moment.mm is not None else None
            if lane is not None and moment.cpu:
                lane.threads[moment.cpu] = moment.text
        return self._told

    # Words -------------------------------------------------------------------------------------

    def label(self, mm: MmId) -> str:
        """The letter of a process."""
        lane = self.lanes.get(mm)
        return lane.label if lane is not None else "?"

    def brief(self, text: str, but: Lane | None = None) -> str:
        """A text with letters in place of the names of processes, the longest first."""
        for lane in sorted(self.lanes.values(), key=lambda lane: -len(lane.name)):
            if lane is but:
                continue
            text = text.replace(lane.name, lane.label)
        return text

    def owners(self, pfn: int) -> str:
        """Who has a frame now: ``A r-, B r-, io 1``."""
        maps = self.frames.get(pfn, {})
        owners = [f"{self.label(mm)} {access}" for mm, access in maps.items()]
        owners += [f"io {io}" for io, flight in self.flights.items() if pfn in flight.pfns]
        return ", ".join(owners) or "nobody"

    def held(self) -> dict[int, list[int]]:
        """The frames that devices hold, and the numbers of what holds each."""
        held: dict[int, list[int]] = {}
        for io, flight in self.flights.items():
            for pfn in flight.pfns:
                held.setdefault(pfn, []).append(io)
        return held

    def _tell(self, mm: MmId | None, cpu: str, text: str, pfns: Iterable[int] = ()) -> None:
        who = DEVICE if mm is None else self.label(mm)
        self._told.append(Moment(mm, who, cpu, text, tuple(pfns)))

    # Processes ---------------------------------------------------------------------------------

    def _created(self, event: MmCreated) -> None:
        used = {lane.slot for lane in self.lanes.values()}
        slot = next(slot for slot in range(len(used) + 1) if slot not in used)
        turn, letter = divmod(self._born, len(ascii_uppercase))
        label = ascii_uppercase[letter] + (str(turn + 1) if turn else "")
        self._born += 1
        self.lanes[event.mm] = Lane(label, event.name, slot)
        if event.parent is None:
            self._tell(event.mm, "", f"is {event.name}")
        else:
            self._forks[event.mm] = _Fork()

    def _gone(self, event: MmGone) -> None:
        lane = self.lanes.get(event.mm)
        if lane is not None:
            self._forks.pop(event.mm, None)
            self._tell(event.mm, "", "is gone")
            del self.lanes[event.mm]

    def _forked(self, event: Forked) -> None:
        fork = self._forks.pop(event.child, _Fork())
        child = self.lanes[event.child]
        got = []
        if fork.copied:
            pairs = (f"{src} to pfn {dst}" for src, dst in fork.copied.items())
            got.append(f"copies pfn {_few(pairs, len(fork.copied))} for {child.label}")
        if fork.shared:
            got.append(f"shares pfn {_few(fork.shared, len(fork.shared))}, write-protected")
        what = " and ".join(got) or "no frame"
        text = f"forks: {child.label} is {self.brief(child.name, child)}; {what}"
        pfns = (*fork.shared, *fork.copied, *fork.copied.values())
        self._tell(event.mm, event.cpu, text, pfns)

    def _waited(self, event: Waited) -> None:
        how = f"{event.fn} goes on, after it waited" if event.done else f"{event.fn} waits"
        self._tell(event.mm, event.cpu, f"{how} for: {event.what}")

    # Pages -------------------------------------------------------------------------------------

    def _pte_set(self, event: PteSet) -> None:
        mm, old, pfn = event.mm, event.old_pfn, event.pfn
        before = self.frames.get(old, {}).get(mm) if old is not None else None
        if old is not None and old != pfn:
            self.frames.get(old, {}).pop(mm, None)
        if pfn is not None:
            self.frames.setdefault(pfn, {})[mm] = RW if event.write else RO
        fork = self._forks.get(mm)
        if fork is not None:
            if pfn is not None and pfn not in fork.copied.values():
                fork.shared[pfn] = None
        elif old is None:
            return
        elif pfn is None:
            if any(old in flight.pfns for flight in self.flights.values() if flight.mm == mm):
                text = f"takes pfn {old} away, which a device holds"
                self._tell(mm, event.cpu, text, (old,))
        elif pfn != old:
            self._tell(mm, event.cpu, f"write fault: copies pfn {old} to pfn {pfn}", (old, pfn))
        elif before == RO and event.write:
            self._tell(mm, event.cpu, f"write fault: keeps pfn {pfn}", (pfn,))

    def _freed(self, event: PageFreed) -> None:
        self.frames.pop(event.pfn, None)

    def _copied(self, event: PageCopied) -> None:
        fork = self._forks.get(event.mm)
        if fork is not None:
            fork.copied[event.src] = event.dst

    # Devices -----------------------------------------------------------------------------------

    def _started(self, event: IoStarted) -> None:
        flight = self.flights[event.io] = Flight(event)
        how = "pins" if event.pinned else "gets"
        pfns = flight.pfns
        text = (f"{event.api} {how} pfn {_few(pfns, len(pfns))}: io {event.io}, the device"
                f" {flight.way} {flight.length} bytes")  # fmt: skip
        self._tell(flight.mm, event.cpu, text, pfns)

    def _moved(self, event: DeviceWrote | DeviceRead) -> None:
        self.flights[event.io].moved += len(event.data)

    def _checked(self, event: IoChecked) -> None:
        flight = self.flights[event.io]
        who, pfns = self.label(flight.mm), flight.pfns
        now = {
            held.pfn: pfn
            for held, (pfn, _) in zip(flight.started.held, event.seen, strict=True)
            if pfn is not None and pfn != held.pfn
        }
        text = f"io {event.io} is {'over' if event.final else 'done once'}: the device"
        text += f" {'read' if flight.way == 'reads' else 'wrote'} {flight.moved} bytes"
        text += f" of pfn {_few(pfns, len(pfns))}, which {who} "
        moved = (f"{pfn} in place of pfn {held}" for held, pfn in now.items())
        text += f"maps no longer: pfn {_few(moved, len(now))}" if now else "has there still"
        flight.moved = 0
        if event.final:
            del self.flights[event.io]
        self._tell(None, "", text, (*now, *now.values()) or pfns)


def _few(numbers: Iterable[int | str], count: int) -> str:
    """The first of them, and how many there are beside."""
    shown = [str(number) for number, _ in zip(numbers, range(MOST_PFNS), strict=False)]
    more = f" and {count - MOST_PFNS} more" if count > MOST_PFNS else ""
    return ", ".join(shown) + more
