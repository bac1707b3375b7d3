"""What is in a pipe: in which order it is taken out, and when nobody has a page any more."""

from __future__ import annotations

from tests.common import TinyWorld
from uemu.abi import Direction
from uemu.host.procfs import ProcessMemory
from uemu.live.program.pipe_queue import Hold, Piece, Pipe
from uemu.live.program.schedule import Watched
from uemu.live.program.tasks import ProgramMm
from uemu.step import run


def holds(count: int, length: int = 100) -> list[Hold]:
    """Holds of so many pages, each of some bytes."""
    world = TinyWorld("linux-6.5")
    process = world.process()
    buf = process.mmap(count)
    process.store(buf, b"I" * 4096 * count)
    mm = ProgramMm(process.mm, ProcessMemory(0), 1)
    return [
        Hold(
            run(
                world.kernel.io.dio_submit(
                    process.cpu,
                    process.mm,
                    [(buf + 4096 * i, length)],
                    Direction.TO_DEVICE,
                    "vmsplice",
                    aio=True,
                )
            ),
            Watched(mm, 0, was_shared=False),
        )
        for i in range(count)
    ]


def shape(pipe: Pipe) -> list[tuple[int, bool, int]]:
    return [(piece.length, piece.hold is not None, piece.start) for piece in pipe.pieces]


def test_what_was_written_before_comes_first() -> None:
    pipe, (hold,) = Pipe(), holds(1)
    pipe.fill(6)
    pipe.put(Piece(100, hold))
    assert shape(pipe) == [(6, False, 0), (100, True, 0)]
    pipe.fill(106)
    assert pipe.length == 106
    pipe.fill(110)
    assert shape(pipe)[-1] == (4, False, 0)


def test_a_piece_is_taken_in_parts() -> None:
    pipe, (hold,) = Pipe(), holds(1)
    pipe.put(Piece(100, hold))
    pipe.take(30)
    assert (shape(pipe), hold.pieces) == ([(70, True, 30)], 1)
    pipe.take(70)
    assert (shape(pipe), hold.pieces) == ([], 0)


def test_what_is_taken_may_end_in_the_middle_of_another_piece() -> None:
    pipe, (first, second) = Pipe(), holds(2)
    for hold in (first, second):
        pipe.put(Piece(100, hold))
    assert [(p.length, p.hold, p.start) for p in pipe.peek(150)] == [
        (100, first, 0),
        (50, second, 0),
    ]
    pipe.take(150)
    assert (first.pieces, second.pieces) == (0, 1)
    assert shape(pipe) == [(50, True, 50)]
    assert [(p.length, p.start) for p in pipe.peek(10)] == [(10, 50)]


def test_more_is_taken_than_is_known_of() -> None:
    pipe, (hold,) = Pipe(), holds(1)
    pipe.put(Piece(100, hold))
    pipe.take(1000)
    assert (pipe.length, hold.pieces) == (0, 0)


def test_two_pipes_have_one_page() -> None:
    pipe, other, (hold,) = Pipe(), Pipe(), holds(1)
    pipe.put(Piece(100, hold))
    for piece in list(pipe.peek(60)):
        other.put(piece)
    assert hold.pieces == 2
    pipe.take(100)
    assert (hold.pieces, shape(other)) == (1, [(60, True, 0)])
    other.take(60)
    assert hold.pieces == 0
