"""How long a transfer is in flight: the DMA schedules.

immediate  it is over when it begins, as on the fastest device.
held       it stays in flight while something may still happen to its pages:
           until a fork of its process, and then until somebody writes to a
           page that fork left shared. It ends when nothing of that can come,
           when nothing else can run, or when it has waited long enough.
random     half of them immediate, the others at random moments, by a seed.

Under ``held`` a lost read is lost on the first run. Three rules make it so:

* a reader whose buffer shares a page with a transfer that still waits for a
  fork waits at entry, since its own write access is what may come after;
* a child waits at birth, so that it is there when its parent writes;
* a thread in a timed sleep counts as one that can run.

Waiting for a fork that does not come is given up sooner each time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from uemu.abi import PAGE_MASK, Direction
from uemu.dma.engine import Io
from uemu.kernel import Kernel
from uemu.live.program.tasks import ProgramMm, Task
from uemu.mm.pte import Pte

KINDS: Final = ("immediate", "held", "random")

FOR_A_FORK: Final = 0.1
"""The share of the longest hold that a transfer waits for a fork."""

PATIENCE: Final = 6
"""How often in a row waiting for a fork may be in vain before nobody waits any more."""


@dataclass(frozen=True, slots=True)
class DmaOptions:
    """What a user chose.

    Attributes:
        kind: one of `KINDS`.
        seed: for ``random``.
        hold_ms: the longest a transfer is held, in milliseconds.
    """

    kind: str = "held"
    seed: int = 0
    hold_ms: int = 1000


@dataclass(eq=False, repr=False, slots=True)
class Flight:
    """A transfer in flight.

    Attributes:
        io: the transfer, or the registration that it is a request of.
        mm: whose buffer it is.
        finish: moves the bytes, ends the transfer, and lets who waits go on.
        pages: its frames, and where each was in the buffer: page addresses.
        is_read: whether the device writes memory.
        deadline: when it ends at the latest, by `time.monotonic`.
        at_risk: frames of it that are shared, so that a write may part them.
        over_fork: a fork came while it was in flight, or before, unseen by a write.
        written: somebody wrote to a shared page of it.
    """

    io: Io
    mm: ProgramMm
    finish: Callable[[Flight], None]
    pages: dict[int, set[int]]
    is_read: bool
    deadline: float
    at_risk: set[int] = field(default_factory=set)
    over_fork: bool = False
    written: bool = False

    @property
    def pfns(self) -> Collection[int]:
        """Its frames."""
        return self.pages.keys()


@dataclass(eq=False, slots=True)
class Watched:
    """Frames that are held without a schedule.

    Attributes:
        mm: for whom.
        nr_children: how many that had then.
        was_shared: an earlier fork had shared them.
        written: somebody else stored to them since.
    """

    mm: ProgramMm
    nr_children: int
    was_shared: bool
    written: bool = False

    @property
    def over_fork(self) -> bool:
        """Whether a fork met them."""
        return self.was_shared or self.mm.nr_children > self.nr_children


class Schedule:
    """Decides when flights end.

    Attributes:
        flights: those under way, oldest first.
        born: children that wait at birth.
    """

    def __init__(
        self, kernel: Kernel, options: DmaOptions, release: Callable[[Task], None]
    ) -> None:
        self._kernel = kernel
        self._kind = options.kind
        self._hold_s = options.hold_ms / 1000
        self._random = random.Random(options.seed)
        self._release = release
        self.flights: list[Flight] = []
        self._by_pfn: dict[int, list[Flight]] = {}
        self._watched: dict[int, list[Watched]] = {}
        self.born: list[Task] = []
        self._in_vain: dict[int, int] = {}

    # What happens --------------------------------------------------------------------------

    def must_wait_at_entry(self, mm: ProgramMm, buffers: list[tuple[int, int]]) -> bool:
        """Whether a request would only be write access that comes too early."""
        if self._kind != "held":
            return False
        mine = {
            base
            for addr, length in buffers
            for base in range(addr & PAGE_MASK, addr + length, 4096)
        }
        return any(
            flight.mm is mm and not flight.over_fork and flight.is_read
            and not all(mine.isdisjoint(bases) for bases in flight.pages.values())
            for flight in self.flights
        )  # fmt: skip

    def any_shared(self, pfns: Iterable[int]) -> bool:
        """Whether several processes map one of these frames."""
        pages = self._kernel.mech.pages
        return any(pages[pfn].mapcount.peek() > 1 for pfn in pfns)

    def started(
        self,
        io: Io,
        mm: ProgramMm,
        finish: Callable[[Flight], None],
        *,
        direction: Direction,
        waits: bool,
        was_shared: bool,
        part: tuple[int, int] | None = None,
    ) -> Flight:
        """A transfer began; it may be over when this returns.

        Args:
            waits: the task that asked waits for it.
            was_shared: an earlier fork had shared its pages, or met the registration.
            part: of a registration, where the request begins and its length; None: all of it.
        """
        pages = self._kernel.io.pages_of(io)
        if part is not None:
            pages = {chunk.pfn: pages[chunk.pfn] for chunk in io.chunks(*part)}
        is_read = direction is Direction.FROM_DEVICE
        flight = Flight(io, mm, finish, pages, is_read, self._deadline(mm))
        flight.at_risk = self._risks(flight)
        if flight.at_risk and self._kind == "held":
            flight.deadline = monotonic() + self._hold_s
        flight.over_fork = was_shared or bool(flight.at_risk)
        self.flights.append(flight)
        for pfn in flight.pfns:
            self._by_pfn.setdefault(pfn, []).append(flight)
        alone = waits and not flight.at_risk and len(mm.tasks) == 1
        at_once = self._kind == "immediate" or (self._kind == "held" and alone)
        if at_once or flight.deadline <= monotonic():
            self.end(flight)
        return flight

    def _deadline(self, mm: ProgramMm) -> float:
        now = monotonic()
        if self._kind == "random":
            share = self._random.random()
            return now + max(0.0, share - 0.5) * 2 * self._hold_s * FOR_A_FORK
        vain = self._in_vain.get(mm.family, 0)
        return now if vain >= PATIENCE else now + self._hold_s * FOR_A_FORK / (1 << vain)

    def _is_at_risk(self, flight: Flight, pfn: int) -> bool:
        """Whether somebody else's or the holder's next write may part them."""
        page = self._kernel.mech.pages[pfn]
        return not page.reserved and page.mapcount.peek() > 1

    def _risks(self, flight: Flight) -> set[int]:
        """The frames of a transfer that a write to come may part, or spoil.

        What a device still reads and its owner has left may be written by
        whoever has it now.
        """
        pages = self._kernel.mech.pages
        return {
            pfn
            for pfn in flight.pfns
            if self._is_at_risk(flight, pfn)
            or (
                not flight.is_read
                and pages[pfn].mapcount.peek()
                and not self._holds_still(flight, pfn)
            )
        }

    def forked(self, mm: ProgramMm, child: Task) -> bool:
        """A process forked; whether the child is to wait at birth."""
        self._in_vain.pop(mm.family, None)
        for flight in [f for f in self.flights if f.mm is mm]:
            flight.over_fork = True
            flight.at_risk = self._risks(flight)
            if self._kind == "held":
                flight.deadline = monotonic() + self._hold_s
                if not flight.at_risk:
                    self.end(flight)
        if self._kind != "held" or not any(f.mm is mm for f in self.flights):
            return False
        self.born.append(child)
        return True

    def wrote(self, mm: ProgramMm, base: int, old_pfn: int) -> list[Flight]:
        """A write fault or gup was handled at a page that showed ``old_pfn``.

        Returns:
            Flights that end as soon as the store itself is done.
        """
        soon = []
        for flight in list(self._by_pfn.get(old_pfn, ())):
            flight.written = flight.written or flight.over_fork
            now = self._pfn_at(mm, base)
            page = self._kernel.mech.pages[old_pfn]
            stays = now == old_pfn
            if flight.is_read:
                parted = not stays and mm is flight.mm
                if parted or not self._is_at_risk(flight, old_pfn):
                    flight.at_risk.discard(old_pfn)
                if self._kind == "held" and (parted or not flight.at_risk) and flight.over_fork:
                    self.end(flight)
                continue
            if stays and mm is not flight.mm:
                # Who stores to what the device still reads, and is not its owner.
                soon.append(flight)
            elif page.mapcount.peek() <= (1 if self._holds_still(flight, old_pfn) else 0):
                flight.at_risk.discard(old_pfn)
                if self._kind == "held" and not flight.at_risk:
                    self.end(flight)
        return soon if self._kind == "held" else []

    def _holds_still(self, flight: Flight, pfn: int) -> bool:
        """Whether the owner of a transfer still maps that frame of it."""
        return any(self._pfn_at(flight.mm, base) == pfn for base in flight.pages[pfn])

    def _pfn_at(self, mm: ProgramMm, base: int) -> int | None:
        cell = mm.mm.ptes.get(base)
        pte = cell.peek() if cell is not None else None
        return pte.pfn if isinstance(pte, Pte) else None

    def mm_gone(self, mm: ProgramMm) -> None:
        """An address space ended: what it shared, others have alone."""
        for flight in [f for f in self.flights if f.mm is mm]:
            self.end(flight)
        for flight in list(self.flights):
            if flight.at_risk:
                flight.at_risk = at_risk = flight.at_risk & self._risks(flight)
                if not at_risk and self._kind == "held":
                    self.end(flight)

    # What is held without a schedule -----------------------------------------------------------

    def watch(self, io: Io, watched: Watched) -> None:
        """Somebody may read these frames at any time: stores of others to them matter."""
        for pfn in self._kernel.io.pages_of(io):
            self._watched.setdefault(pfn, []).append(watched)

    def unwatch(self, io: Io, watched: Watched) -> None:
        """Nobody does any more."""
        for pfn in self._kernel.io.pages_of(io):
            self._watched[pfn].remove(watched)
            if not self._watched[pfn]:
                del self._watched[pfn]

    def is_watched(self, mm: ProgramMm, base: int, pfn: int) -> bool:
        """Whether a store there, after its fault, is to a frame that is held for another."""
        others = [watched for watched in self._watched.get(pfn, ()) if watched.mm is not mm]
        if not others or self._pfn_at(mm, base) != pfn:
            return False
        for watched in others:
            watched.written = True
        return True

    # Time ------------------------------------------------------------------------------------

    @property
    def is_waiting(self) -> bool:
        """Whether anything is held."""
        return bool(self.flights or self.born)

    def timeout_ms(self, shortest: int) -> int | None:
        """How long to wait for a report at most; None: for ever."""
        return shortest if self.is_waiting else None

    def tick(self) -> bool:
        """End what has waited long enough; whether there was something."""
        now = monotonic()
        due = [flight for flight in self.flights if flight.deadline <= now]
        for flight in due:
            if self._kind == "held" and not flight.over_fork:
                self._in_vain[flight.mm.family] = self._in_vain.get(flight.mm.family, 0) + 1
            self.end(flight)
        self._let_born_go()
        return bool(due)

    def nothing_else_can_run(self) -> None:
        """Let children go first, since they may write; then end what is in flight."""
        if self.born:
            self._let_born_go(all_of_them=True)
            return
        for flight in list(self.flights):
            self.end(flight)

    def drain(self, mm: ProgramMm) -> None:
        """End all transfers of an address space: a device may be that fast."""
        for flight in [f for f in self.flights if f.mm is mm]:
            self.end(flight)

    def drain_io(self, io: Io) -> None:
        """End all requests of a registration."""
        for flight in [f for f in self.flights if f.io is io]:
            self.end(flight)

    def end(self, flight: Flight) -> None:
        """Let a transfer be over."""
        if flight not in self.flights:
            return
        self.flights.remove(flight)
        for pfn in flight.pfns:
            self._by_pfn[pfn].remove(flight)
            if not self._by_pfn[pfn]:
                del self._by_pfn[pfn]
        flight.finish(flight)
        self._let_born_go()

    def _let_born_go(self, *, all_of_them: bool = False) -> None:
        if self.born and (all_of_them or not any(flight.at_risk for flight in self.flights)):
            born, self.born = self.born, []
            for child in born:
                self._release(child)
