"""What the oracle remembers of an I/O: its buffers, and what became of their bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from uemu.abi import PAGE_SIZE
from uemu.events import Held, IoStarted, MmId
from uemu.oracle.held import HeldBuffer, range_of, ranges, shares
from uemu.oracle.violations import StoryLine


@dataclass(slots=True)
class Buffer:
    """One held page of an I/O, and what became of its bytes.

    Attributes:
        written: what a device wrote last, at its offset in the frame; where
            ``known`` is 0, it wrote nothing.
        foreign: offset in the frame to the mm that stored there, if another.
        own: addresses the holder stored to since the device wrote them.
        excused: the holder itself took the mapping away.
        read: what the device read last, and from which offset on.
    """

    held: Held
    written: bytearray = field(default_factory=bytearray)
    known: bytearray = field(default_factory=bytearray)
    foreign: dict[int, MmId] = field(default_factory=dict)
    own: set[int] = field(default_factory=set)
    excused: bool = False
    read: tuple[int, bytes] = (0, b"")

    def device_wrote(self, offset: int, data: bytes) -> None:
        """The device stored ``data`` at ``offset`` of the frame."""
        if not self.known:
            self.written, self.known = bytearray(PAGE_SIZE), bytearray(PAGE_SIZE)
        end = offset + len(data)
        self.written[offset:end] = data
        self.known[offset:end] = b"\1" * len(data)
        for at in [at for at in self.foreign if offset <= at < end]:
            del self.foreign[at]
        addr = self.held.addr - self.held.offset + offset
        self.own = {at for at in self.own if not addr <= at < addr + len(data)}

    def not_seen(self, data: bytes) -> list[int]:
        """Offsets in the frame where ``data``, from `Held.offset` on, is not what was written."""
        start, end = self.held.offset, self.held.offset + len(data)
        if not self.known or self.written[start:end] == data:
            return []
        return [
            at
            for at in range(start, end)
            if self.known[at] and self.written[at] != data[at - start]
        ]

    def no_longer_read(self, data: bytes) -> list[int]:
        """Offsets where ``data``, from `Held.offset` on, is not what the device read."""
        first, read = self.read
        start = self.held.offset
        return [
            at
            for at, byte in enumerate(read, first)
            if start <= at < start + len(data) and data[at - start] != byte
        ]


@dataclass(slots=True, eq=False)
class WatchedIo:
    """An I/O under way, its buffers in order and by frame, and its story so far.

    Attributes:
        stored: what a secondary MMU has just stored, and where.
        neighbours: memory of other I/O that was held meanwhile on pages of its own.
    """

    started: IoStarted
    mm: MmId
    buffers: list[Buffer]
    by_pfn: dict[int, list[Buffer]]
    story: list[StoryLine]
    said: set[tuple[str, MmId]] = field(default_factory=set)
    stored: tuple[int, bytes] | None = None
    neighbours: dict[tuple[int, int], None] = field(default_factory=dict)
    _pieces: list[tuple[int, int]] = field(default_factory=list)

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """Its memory, (start, end) each."""
        if not self._pieces:
            self._pieces = list(ranges(self.started.held))
        return self._pieces

    @property
    def fills_its_pages(self) -> bool:
        """Whether nothing else can lie on the pages it holds."""
        length = self.started.held[0].length
        return length == PAGE_SIZE and all(each.length == length for each in self.started.held)

    def meet(self, other: WatchedIo) -> None:
        """Both are under way: note what shares a page."""
        for own in self.pieces:
            for theirs in other.pieces:
                if shares(own, theirs):
                    self.neighbours[theirs] = None
                    other.neighbours[own] = None

    def held_buffer(self, pfn: int | None) -> HeldBuffer:
        """The piece of it that a frame belongs to."""
        started = self.started
        piece = range_of(started.held, pfn)
        others = [each for each in self.pieces if each != piece]
        near = tuple(each for each in (*others, *self.neighbours) if shares(piece, each))
        return HeldBuffer(*piece, started.api, started.pinned, started.long_term, near)
