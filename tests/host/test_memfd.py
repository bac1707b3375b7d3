"""Page frames in a memfd: where they lie, and what becomes of those given back.

What every frame store must do is in tests/mm/test_frames.py; the part of it
about giving frames back is here, over the fake as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from uemu.abi import PAGE_SIZE
from uemu.errors import HostError
from uemu.host import memfd
from uemu.host.memfd import MemfdFrames
from uemu.mm.frames import BytesStore, FrameStore

pytestmark = pytest.mark.needs_memfd

BASE = 0x1000_0000_0000
EXTENT = 512 * PAGE_SIZE


@pytest.fixture(params=["memfd", "bytes"])
def store(request: pytest.FixtureRequest) -> Iterator[FrameStore]:
    """Either store, for what both must do."""
    if request.param == "bytes":
        yield BytesStore()
        return
    frames = MemfdFrames()
    yield frames
    frames.close()


@pytest.fixture
def frames() -> Iterator[MemfdFrames]:
    """The store of real processes."""
    frames = MemfdFrames()
    yield frames
    frames.close()


def page(letter: bytes) -> bytes:
    return letter * PAGE_SIZE


# Giving frames back, to either store


def test_pfns_count_up_and_never_come_back(store: FrameStore) -> None:
    first = [store.alloc(BASE + i * PAGE_SIZE) for i in range(3)]
    for pfn in first:
        store.free(pfn)
    assert first == [0, 1, 2]
    assert [store.alloc(BASE + i * PAGE_SIZE) for i in range(3)] == [3, 4, 5]


@pytest.mark.parametrize("use", ["read", "free"])
def test_a_freed_frame_is_gone(store: FrameStore, use: str) -> None:
    pfn = store.alloc(BASE)
    store.free(pfn)
    with pytest.raises(KeyError):
        store.read(pfn, 0, 1) if use == "read" else store.free(pfn)


def test_freeing_one_frame_leaves_the_others(store: FrameStore) -> None:
    pfns = [store.alloc(BASE) for _ in range(3)]
    for pfn in pfns:
        store.write(pfn, 0, page(b"%d" % pfn))
    store.free(pfns[1])
    assert store.read(pfns[0], 0, PAGE_SIZE) == page(b"0")
    assert store.read(pfns[2], 0, PAGE_SIZE) == page(b"2")


# Where the frames lie


def test_neighbours_lie_side_by_side(frames: MemfdFrames) -> None:
    offsets = [frames.offset_of(frames.alloc(BASE + i * PAGE_SIZE)) for i in range(512)]
    assert offsets == [offsets[0] + i * PAGE_SIZE for i in range(512)]


def test_the_order_of_the_touches_does_not_matter(frames: MemfdFrames) -> None:
    last_first = {i: frames.offset_of(frames.alloc(BASE + i * PAGE_SIZE)) for i in (3, 1, 2, 0)}
    assert [last_first[i] - last_first[0] for i in range(4)] == [i * PAGE_SIZE for i in range(4)]


def test_an_offset_moves_with_the_address_in_its_extent(frames: MemfdFrames) -> None:
    for addr in (BASE, BASE + 7 * PAGE_SIZE, BASE + EXTENT, BASE + 5 * EXTENT + PAGE_SIZE):
        assert frames.offset_of(frames.alloc(addr)) % EXTENT == addr % EXTENT


def test_one_address_has_as_many_frames_as_it_takes(frames: MemfdFrames) -> None:
    offsets = {frames.offset_of(frames.alloc(BASE + PAGE_SIZE)) for _ in range(5)}
    assert offsets == {PAGE_SIZE + i * EXTENT for i in range(5)}


def test_a_freed_place_is_taken_again_by_its_address(frames: MemfdFrames) -> None:
    pfn, other = frames.alloc(BASE), frames.alloc(BASE + PAGE_SIZE)
    place = frames.offset_of(pfn)
    frames.free(pfn)
    assert frames.offset_of(frames.alloc(BASE + PAGE_SIZE)) not in (place, frames.offset_of(other))
    assert frames.offset_of(frames.alloc(BASE)) == place


def test_the_bytes_are_in_the_memfd_where_offset_of_says(frames: MemfdFrames) -> None:
    pfns = [frames.alloc(BASE + i * PAGE_SIZE) for i in range(3)]
    frames.write(pfns[2], 8, b"here")
    assert os.pread(frames.fd, 4, frames.offset_of(pfns[2]) + 8) == b"here"


def test_a_frame_is_found_by_its_bytes_until_it_is_freed(frames: MemfdFrames) -> None:
    pfns = [frames.alloc(BASE + i * PAGE_SIZE) for i in range(3)]
    offset = frames.offset_of(pfns[1])
    assert [frames.pfn_at(offset + at) for at in (-1, 0, 4095, 4096)] == [
        pfns[0], pfns[1], pfns[1], pfns[2]
    ]  # fmt: skip
    frames.free(pfns[1])
    assert frames.pfn_at(offset) is None
    assert frames.pfn_at(offset) != frames.alloc(BASE + PAGE_SIZE) == frames.pfn_at(offset)


def test_the_frames_in_use_are_counted(frames: MemfdFrames) -> None:
    pfns = [frames.alloc(BASE + i * PAGE_SIZE) for i in range(10)]
    assert frames.nr_used == 10
    for pfn in pfns:
        frames.free(pfn)
    assert frames.nr_used == 0


def test_free_frames_beyond_a_number_give_their_memory_back(
    frames: MemfdFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blocks() -> int:
        return os.fstat(frames.fd).st_blocks * 512 // PAGE_SIZE

    monkeypatch.setattr(memfd, "KEEP", 4)
    monkeypatch.setattr(memfd, "AHEAD", 1)
    pfns = [frames.alloc(BASE + i * PAGE_SIZE) for i in range(20)]
    for pfn in pfns:
        frames.write(pfn, 0, b"x")
    assert blocks() == 20
    for pfn in pfns:
        frames.free(pfn)
    assert blocks() == 4


def test_the_frames_are_in_no_core_dump(frames: MemfdFrames) -> None:
    with open("/proc/self/smaps") as smaps:
        text = smaps.read()
    (mapping,) = [part for part in text.split("VmFlags:") if "memfd:uemu-frames" in part]
    flags = text.split(mapping)[1].split("\n", 1)[0].split()
    assert "dd" in flags  # MADV_DONTDUMP
    # MADV_DONTFORK would leave a hole in a fork of the host; what the fork maps there
    # is gone when it drops the machine, which unmaps the range it believes in.
    assert "dc" not in flags


# What the machine refuses


def test_when_all_frames_are_taken_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memfd, "SIZES", (2 * EXTENT,))
    frames = MemfdFrames()
    assert frames.size == 2 * EXTENT
    frames.alloc(BASE)
    frames.alloc(BASE + EXTENT)
    with pytest.raises(HostError, match="one more page frame: all are in use"):
        frames.alloc(BASE)
    frames.close()


def test_less_address_space_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memfd, "SIZES", (1 << 62, 4 * EXTENT))
    frames = MemfdFrames()
    assert frames.size == 4 * EXTENT
    frames.close()


def test_no_address_space_is_a_host_error(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(memfd, "SIZES", (1 << 62,))
    with pytest.raises(HostError) as refused:
        MemfdFrames()
    assert "ulimit -v" in refused.value.remedy
    assert set(os.listdir("/proc/self/fd")) == before


def test_no_memfd_is_a_host_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "memfd_create", refuse)
    with pytest.raises(HostError, match=r"create a memfd: .*not implemented") as refused:
        MemfdFrames()
    assert refused.value.remedy


def test_close_gives_memory_and_descriptor_back() -> None:
    before = set(os.listdir("/proc/self/fd"))
    frames = MemfdFrames()
    frames.write(frames.alloc(BASE), 0, b"x")
    frames.close()
    assert set(os.listdir("/proc/self/fd")) == before
    with open("/proc/self/maps") as maps:
        assert "memfd:uemu-frames" not in maps.read()
