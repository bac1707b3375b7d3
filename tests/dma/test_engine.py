"""The DMA engine: transfers and registrations over frames, no page table in sight."""

from __future__ import annotations

import pytest

from uemu.abi import PAGE_SIZE, Direction
from uemu.dma.engine import Chunk, DmaEngine, Segment
from uemu.mm.frames import BytesStore

FROM, TO = Direction.FROM_DEVICE, Direction.TO_DEVICE


@pytest.fixture
def frames() -> BytesStore:
    store = BytesStore()
    for pfn in (store.alloc(0), store.alloc(0)):
        store.write(pfn, 0, b"I" * PAGE_SIZE)
    return store


@pytest.fixture
def engine(frames: BytesStore) -> DmaEngine:
    return DmaEngine(frames)


TWO = [Segment(0, PAGE_SIZE - 4, 4), Segment(1, 0, 4)]


def test_a_write_is_cut_at_frame_boundaries(engine: DmaEngine, frames: BytesStore) -> None:
    transfer = engine.start(TWO, FROM, None)
    done = engine.write(transfer, 2, b"abcd")
    assert done == [
        (Chunk(0, PAGE_SIZE - 2, 0, 2), b"ab"),
        (Chunk(1, 0, 2, 2), b"cd"),
    ]
    assert frames.read(0, PAGE_SIZE - 4, 4) == b"IIab"
    assert frames.read(1, 0, 4) == b"cdII"


def test_a_read_gathers_over_frames(engine: DmaEngine, frames: BytesStore) -> None:
    frames.write(0, PAGE_SIZE - 4, b"abcd")
    frames.write(1, 0, b"efgh")
    transfer = engine.start(TWO, TO, None)
    assert b"".join(data for _, data in engine.read(transfer, 1, 6)) == b"bcdefg"


def test_an_access_inside_one_frame_is_one_chunk(engine: DmaEngine) -> None:
    transfer = engine.start(TWO, FROM, None)
    assert list(transfer.chunks(4, 4)) == [Chunk(1, 0, 0, 4)]
    assert list(transfer.chunks(4, 0)) == []


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, 9), (8, 1), (9, 0), (0, -1)])
def test_an_access_outside_the_buffer_is_refused(
    engine: DmaEngine, start: int, length: int
) -> None:
    transfer = engine.start(TWO, TO, None)
    with pytest.raises(ValueError, match="not inside 8 bytes"):
        engine.read(transfer, start, length)


def test_a_transfer_goes_one_way(engine: DmaEngine) -> None:
    with pytest.raises(ValueError, match="cannot write memory"):
        engine.write(engine.start(TWO, TO, None), 0, b"x")
    with pytest.raises(ValueError, match="cannot read memory"):
        engine.read(engine.start(TWO, FROM, None), 0, 1)


def test_a_registration_goes_both_ways_if_writable(engine: DmaEngine) -> None:
    registration = engine.register(TWO, True, None)
    engine.write(registration, 0, b"x")
    assert engine.read(registration, 0, 2)[0][1] == b"xI"


def test_a_read_only_registration_reads_only(engine: DmaEngine) -> None:
    registration = engine.register(TWO, False, None)
    assert engine.read(registration, 0, 1)[0][1] == b"I"
    with pytest.raises(ValueError, match="read-only"):
        engine.write(registration, 0, b"x")


def test_when_it_is_over_it_is_over(engine: DmaEngine) -> None:
    transfer = engine.start(TWO, TO, None)
    assert engine.live == {1: transfer}
    engine.end(transfer)
    assert engine.live == {}
    with pytest.raises(ValueError, match="I/O 1 is over"):
        engine.read(transfer, 0, 1)


def test_numbers_are_unique_over_both_kinds(engine: DmaEngine) -> None:
    numbers = [
        engine.start(TWO, TO, None).number,
        engine.register(TWO, True, None).number,
        engine.start(TWO, FROM, None).number,
    ]
    assert numbers == [1, 2, 3]


def test_the_owner_is_handed_back_untouched(engine: DmaEngine) -> None:
    owner = object()
    assert engine.start(TWO, TO, owner).owner is owner


def test_a_frame_its_owner_left_is_written_all_the_same(
    engine: DmaEngine, frames: BytesStore
) -> None:
    """What the whole tool is about: the device knows frames, nothing else."""
    transfer = engine.start([Segment(0, 0, 1)], FROM, None)
    copy = frames.alloc(0)
    frames.copy(copy, 0)
    engine.write(transfer, 0, b"D")
    assert (frames.read(0, 0, 1), frames.read(copy, 0, 1)) == (b"D", b"I")
