"""The DMA engine: transfers and registrations over page frames.

A transfer is one request: it moves bytes between a device and the frames it
was given, and ends. A registration keeps its frames for as many requests as
its owner likes (RDMA memory regions, io_uring registered buffers, VFIO).
Both are an `Io`: a list of segments and an opaque owner.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from uemu.abi import Direction
from uemu.mm.frames import FrameStore


@dataclass(frozen=True, slots=True)
class Segment:
    """``length`` bytes from ``offset`` of frame ``pfn``; never more than one frame."""

    pfn: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where a part of a request meets a frame.

    Attributes:
        pfn, offset: the frame and the byte in it.
        start: the byte of the request.
        length: bytes.
    """

    pfn: int
    offset: int
    start: int
    length: int


@dataclass(slots=True, eq=False)
class Io:
    """Frames a device may access.

    Attributes:
        number: unique in its engine.
        segments: in the order of the buffer's bytes.
        owner: whatever the caller wants to find again; the engine never looks.
        live: false once it is over.
    """

    number: int
    segments: tuple[Segment, ...]
    owner: object
    live: bool = True

    @property
    def length(self) -> int:
        """Bytes covered."""
        return sum(segment.length for segment in self.segments)

    def chunks(self, start: int, length: int) -> Iterator[Chunk]:
        """Cut ``[start, start + length)`` of the buffer at frame boundaries.

        Raises:
            ValueError: the range is not inside the buffer, or the I/O is over.
        """
        if not self.live:
            raise ValueError(f"I/O {self.number} is over")
        if start < 0 or length < 0 or start + length > self.length:
            raise ValueError(f"[{start}, {start + length}) is not inside {self.length} bytes")
        at = 0
        for segment in self.segments:
            lo, hi = max(start, at), min(start + length, at + segment.length)
            if lo < hi:
                yield Chunk(segment.pfn, segment.offset + lo - at, lo - start, hi - lo)
            at += segment.length


@dataclass(slots=True, eq=False)
class Transfer(Io):
    """One request, one way.

    Attributes:
        direction: FROM_DEVICE writes memory, TO_DEVICE reads it.
    """

    direction: Direction = Direction.FROM_DEVICE


@dataclass(slots=True, eq=False)
class Registration(Io):
    """Frames held until `release`.

    Attributes:
        writable: whether the device may write them.
    """

    writable: bool = True


@dataclass(slots=True)
class DmaEngine:
    """A bus master: starts I/O, moves its bytes, ends it."""

    frames: FrameStore
    live: dict[int, Io] = field(default_factory=dict)
    _next: int = 0

    def start(self, segments: list[Segment], direction: Direction, owner: object) -> Transfer:
        """Begin one request; its bytes move when `write` or `read` is called."""
        transfer = Transfer(self._number(), tuple(segments), owner, direction=direction)
        self.live[transfer.number] = transfer
        return transfer

    def register(self, segments: list[Segment], writable: bool, owner: object) -> Registration:
        """Keep frames for requests to come."""
        registration = Registration(self._number(), tuple(segments), owner, writable=writable)
        self.live[registration.number] = registration
        return registration

    def _number(self) -> int:
        self._next += 1
        return self._next

    def write(self, io: Io, start: int, data: bytes) -> list[tuple[Chunk, bytes]]:
        """Store ``data`` at byte ``start`` of the buffer; what went where.

        Raises:
            ValueError: outside the buffer, over, or read-only for the device.
        """
        if isinstance(io, Transfer) and io.direction is not Direction.FROM_DEVICE:
            raise ValueError(f"transfer {io.number} goes to the device; it cannot write memory")
        if isinstance(io, Registration) and not io.writable:
            raise ValueError(f"registration {io.number} is read-only for the device")
        done = []
        for chunk in io.chunks(start, len(data)):
            piece = data[chunk.start : chunk.start + chunk.length]
            self.frames.write(chunk.pfn, chunk.offset, piece)
            done.append((chunk, piece))
        return done

    def read(self, io: Io, start: int, length: int) -> list[tuple[Chunk, bytes]]:
        """Load ``length`` bytes from byte ``start`` of the buffer; what came whence.

        Raises:
            ValueError: outside the buffer, over, or a transfer the other way.
        """
        if isinstance(io, Transfer) and io.direction is not Direction.TO_DEVICE:
            raise ValueError(f"transfer {io.number} comes from the device; it cannot read memory")
        return [
            (chunk, self.frames.read(chunk.pfn, chunk.offset, chunk.length))
            for chunk in io.chunks(start, length)
        ]

    def end(self, io: Io) -> None:
        """Forget an I/O; the caller gives the frames back."""
        io.live = False
        self.live.pop(io.number, None)
