"""What is in a pipe, in order, as far as it is pages that were given to it by vmsplice(2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from uemu.dma.engine import Transfer
from uemu.live.program.schedule import Watched


@dataclass(eq=False, slots=True)
class Hold:
    """A page of which a pipe has some bytes, or several pipes.

    Attributes:
        io: the reference, which ends when nobody has any of them.
        watched: what becomes of it.
        pieces: in how many places they are.
    """

    io: Transfer
    watched: Watched
    pieces: int = 0


@dataclass(eq=False, slots=True)
class Piece:
    """Bytes in a row.

    Attributes:
        length: how many.
        hold: whose; None: somebody's who wrote them.
        start: which of the hold's is the first.
    """

    length: int
    hold: Hold | None = None
    start: int = 0


@dataclass(eq=False, slots=True)
class Pipe:
    """A pipe; what was written behind the last piece is not noted.

    Attributes:
        pieces: what is in it, the first to be read first.
        users: how many calls that have to do with it are under way.
    """

    pieces: deque[Piece] = field(default_factory=deque)
    users: int = 0

    @property
    def length(self) -> int:
        """Bytes up to the last that is noted."""
        return sum(piece.length for piece in self.pieces)

    def fill(self, unread: int) -> None:
        """There are so many bytes in it by now."""
        if unread > self.length:
            self.put(Piece(unread - self.length))

    def put(self, piece: Piece) -> None:
        """A piece was added at the end."""
        if piece.hold is not None:
            piece.hold.pieces += 1
        self.pieces.append(piece)

    def peek(self, count: int) -> Iterator[Piece]:
        """The first ``count`` bytes, as pieces of their own."""
        for piece in self.pieces:
            if count <= 0:
                return
            yield Piece(min(count, piece.length), piece.hold, piece.start)
            count -= piece.length

    def take(self, count: int) -> None:
        """The first ``count`` bytes are there no more."""
        while count > 0 and self.pieces:
            piece = self.pieces[0]
            if count < piece.length:
                piece.length -= count
                piece.start += count
                return
            count -= piece.length
            self.pieces.popleft()
            if piece.hold is not None:
                piece.hold.pieces -= 1
