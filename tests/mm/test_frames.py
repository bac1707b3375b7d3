"""The contract of a frame store, which every store has to meet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from uemu.abi import PAGE_SIZE
from uemu.host.memfd import MemfdFrames
from uemu.mm.frames import BytesStore, FrameStore


@pytest.fixture(params=[BytesStore, pytest.param(MemfdFrames, marks=pytest.mark.needs_memfd)])
def store(request: pytest.FixtureRequest) -> Iterator[FrameStore]:
    """Each store there is; whoever writes another adds it here."""
    made: BytesStore | MemfdFrames = request.param()
    yield made
    if isinstance(made, MemfdFrames):
        made.close()


def test_frames_do_not_share_bytes(store: FrameStore) -> None:
    one, two = store.alloc(0x10000), store.alloc(0x11000)
    store.zero(one)
    store.zero(two)
    store.write(one, 0, b"x")
    assert store.read(two, 0, 1) == b"\0"


def test_what_is_written_is_read(store: FrameStore) -> None:
    pfn = store.alloc(0x10000)
    store.write(pfn, PAGE_SIZE - 3, b"end")
    assert store.read(pfn, PAGE_SIZE - 3, 3) == b"end"


def test_zero_clears_all_of_a_frame(store: FrameStore) -> None:
    pfn = store.alloc(0x10000)
    store.write(pfn, 0, b"x" * PAGE_SIZE)
    store.zero(pfn)
    assert store.read(pfn, 0, PAGE_SIZE) == bytes(PAGE_SIZE)


def test_copy_takes_all_of_a_frame_and_no_more(store: FrameStore) -> None:
    src, dst = store.alloc(0x10000), store.alloc(0x11000)
    store.write(src, 0, b"s" * PAGE_SIZE)
    store.copy(dst, src)
    store.write(src, 0, b"changed")
    assert store.read(dst, 0, PAGE_SIZE) == b"s" * PAGE_SIZE


def test_a_pfn_is_never_handed_out_twice(store: FrameStore) -> None:
    first = store.alloc(0x10000)
    store.free(first)
    assert store.alloc(0x10000) != first
