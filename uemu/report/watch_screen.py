"""A watched run as a picture for a terminal: lanes, frames, transfers, the last decisions.

What colours say, signs and words say too; no line is wider than 99 columns.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from uemu.events import MmId
from uemu.report.story import WIDTH
from uemu.report.watching import RO, RW, Flight, Lane, Moment, Watching

MOST_LANES: Final = 5
MOST_THREADS: Final = 4
MOST_FRAMES: Final = 8
MOST_FLIGHTS: Final = 5
MOST_DECISIONS: Final = 8

SIGNS: Final = {RW: ("rw", "green"), RO: ("r-", "blue")}
HOLDS: Final = "◀══"

LEGEND: Final = (
    ("rw", "green", "maps it and may store"),
    ("r-", "blue", "write-protected: a store traps, the kernel decides"),
    (HOLDS, "yellow", "a device holds it, whoever maps it"),
    ("!", "bold red", "a violation"),
)


class WatchScreen:
    """The picture, and what is to be remembered for it.

    Attributes:
        decisions: the last ones, the newest last.
    """

    def __init__(self, title: str, watching: Watching) -> None:
        self.title = title
        self.watching = watching
        self.decisions: deque[Text] = deque(maxlen=MOST_DECISIONS)
        self.transfers = 0
        self._recent: dict[int, None] = {}
        self._acted: dict[MmId, None] = {}

    def tell(self, moment: Moment) -> None:
        """Take a decision in, as things stand now."""
        line = Text(no_wrap=True, overflow="ellipsis")
        if moment.violation:
            line.append("! ", "bold red")
        elif moment.mm is None:
            line.append(f"{moment.who} ", "yellow")
        else:
            line.append(f"{moment.who} ", "bold")
        thread = f"[{moment.cpu}] " if moment.cpu else ""
        line.append(f"{thread}{moment.text}", "bold red" if moment.violation else "")
        self.decisions.append(line)
        if moment.mm is not None:
            self._acted.pop(moment.mm, None)
            self._acted[moment.mm] = None
        for pfn in moment.pfns:
            self._recent.pop(pfn, None)
            self._recent[pfn] = None
        self.transfers = max([self.transfers, *self.watching.flights])

    def picture(self) -> RenderableType:
        """Everything, from the top down."""
        flights = self.watching.flights
        head = Text(f"{self.title}: {self.transfers} I/O, {len(flights)} in flight", "bold")
        parts: list[RenderableType] = [head, self._lanes(), self._frames()]
        if flights:
            parts.append(self._flights())
        rule = Text("decisions", "bold")
        return Group(*parts, rule, *self.decisions, _legend())

    def _lanes(self) -> Table:
        table = _table("process", "thread", "its last decision")
        shown = self._shown()
        for _, lane in shown:
            _add_lane(table, lane)
        if len(self.watching.lanes) > len(shown):
            table.add_row(f"and {len(self.watching.lanes) - len(shown)} more", "", "")
        return table

    def _shown(self) -> list[tuple[MmId, Lane]]:
        """The processes that did something last, in the order of their lanes."""
        lanes = self.watching.lanes
        rest = [mm for mm in lanes if mm not in self._acted]
        last = [*rest, *(mm for mm in self._acted if mm in lanes)][-MOST_LANES:]
        return sorted(((mm, lanes[mm]) for mm in last), key=lambda shown: shown[1].slot)

    def _frames(self) -> Table:
        """Those that a device holds, then those decided about last."""
        held = self.watching.held()
        shown = [pfn for pfn in self._recent if pfn in self.watching.frames or pfn in held]
        shown.sort(key=lambda pfn: pfn not in held)
        columns = self._shown()
        table = _table("frame", *(lane.label for _, lane in columns), "device")
        for pfn in sorted(shown[-MOST_FRAMES:] if not held else shown[:MOST_FRAMES]):
            maps = self.watching.frames.get(pfn, {})
            cells = [_access(maps.get(mm)) for mm, _ in columns]
            ios = ", ".join(f"io {io}" for io in held.get(pfn, ()))
            device = Text(f"{HOLDS} {ios}", "yellow") if ios else Text("")
            table.add_row(f"pfn {pfn}", *cells, device)
        return table

    def _flights(self) -> Table:
        table = _table("in flight", "for", "what", "frames")
        flights = list(self.watching.flights.items())
        for io, flight in flights[-MOST_FLIGHTS:]:
            table.add_row(f"io {io}", self.watching.label(flight.mm), _what(flight), _pfns(flight))
        if len(flights) > MOST_FLIGHTS:
            table.add_row(f"and {len(flights) - MOST_FLIGHTS} more", "", "", "")
        return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", width=WIDTH)
    for nr, column in enumerate(columns):
        table.add_column(column, no_wrap=True, ratio=1 if nr == len(columns) - 1 else None)
    return table


def _add_lane(table: Table, lane: Lane) -> None:
    threads = list(lane.threads.items())[-MOST_THREADS:] or [("", "")]
    for nr, (thread, text) in enumerate(threads):
        name = f"{lane.label} {lane.name}" if nr == 0 else ""
        table.add_row(Text(name, "bold"), thread, Text(text, overflow="ellipsis"))


def _access(access: str | None) -> Text:
    return Text(*SIGNS[access]) if access is not None else Text("")


def _what(flight: Flight) -> str:
    how = "pin" if flight.started.pinned else "get"
    return f"{flight.started.api} ({how}): {flight.way} {flight.length} bytes, {flight.moved} done"


def _pfns(flight: Flight) -> str:
    return "pfn " + ", ".join(map(str, flight.pfns))


def _legend() -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    for nr, (sign, style, meaning) in enumerate(LEGEND):
        text.append("" if nr == 0 else "\n" if nr == len(LEGEND) // 2 else "   ")
        text.append(sign, style)
        text.append(f" {meaning}", "dim")
    return text
