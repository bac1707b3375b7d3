"""A copy is torn if it is no state its source had; devices are excepted."""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.oracle.copies import ForkCopies

SRC, DST = 1, 2


def begun() -> ForkCopies:
    copies = ForkCopies()
    copies.began(SRC, DST, b"....")
    return copies


def test_the_state_before_or_after_a_store_is_whole() -> None:
    for seen in (b"....", b"a..."):
        copies = begun()
        copies.stored(SRC, 0, b"a")
        assert copies.ended(DST, seen) == []


def test_the_second_store_without_the_first_is_torn() -> None:
    copies = begun()
    copies.stored(SRC, 0, b"a")
    copies.stored(SRC, 3, b"b")
    assert copies.ended(DST, b"...b") in ([0], [3])


def test_the_first_store_without_the_second_is_whole() -> None:
    copies = begun()
    copies.stored(SRC, 0, b"a")
    copies.stored(SRC, 3, b"b")
    assert copies.ended(DST, b"a...") == []


def test_what_a_device_writes_meanwhile_may_be_there_or_not() -> None:
    for seen in (b".D..", b"...."):
        copies = begun()
        copies.device_wrote(SRC, 1, 1)
        assert copies.ended(DST, seen) == []


def test_stores_into_other_frames_do_not_count() -> None:
    copies = begun()
    copies.stored(SRC + 7, 0, b"a")
    assert copies.ended(DST, b"a...") == [0]


def test_two_copies_at_once_are_apart() -> None:
    copies = begun()
    copies.began(SRC, DST + 1, b"....")
    copies.stored(SRC, 0, b"a")
    assert copies.ended(DST, b"a...") == []
    assert copies.ended(DST + 1, b"....") == []


def test_of_a_huge_page_the_frames_are_one() -> None:
    """A store to one of them and a later one to another are two of its states."""
    copies = ForkCopies()
    copies.began(SRC, DST, bytes(2 * PAGE_SIZE))
    copies.stored(SRC, 0, b"a")
    copies.stored(SRC + 1, 0, b"b")
    copies.stored(SRC + 2, 0, b"x")
    torn = bytearray(2 * PAGE_SIZE)
    torn[PAGE_SIZE] = ord("b")
    assert copies.ended(DST, bytes(torn)) in ([0], [PAGE_SIZE])
