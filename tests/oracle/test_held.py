"""What lies beside a buffer, by arithmetic on addresses."""

from __future__ import annotations

import pytest

from uemu.events import Held
from uemu.oracle.held import HeldBuffer, range_of, ranges, shares

PAGE = 4096


def held(*pieces: tuple[int, int, int]) -> list[Held]:
    """Pieces of pages: address, length, frame."""
    return [Held(0, addr, pfn, addr % PAGE, length) for addr, length, pfn in pieces]


@pytest.mark.parametrize(
    ("start", "end", "pages", "before", "after"),
    [
        (0x1000, 0x2000, (0x1000, 0x2000), 0, 0),
        (0x1000, 0x1200, (0x1000, 0x2000), 0, 0xE00),
        (0x1200, 0x2200, (0x1000, 0x3000), 0x200, 0xE00),
        (0x1E00, 0x3000, (0x1000, 0x3000), 0xE00, 0),
    ],
)
def test_what_else_its_pages_hold(
    start: int, end: int, pages: tuple[int, int], before: int, after: int
) -> None:
    buffer = HeldBuffer(start, end, "o_direct", False, False)
    assert (buffer.pages, buffer.before, buffer.after) == (pages, before, after)
    assert buffer.has_its_pages == (before == after == 0)


def test_pages_that_follow_each_other_are_one_piece() -> None:
    pages = held((0x1E00, 0x200, 1), (0x2000, 0x1000, 2), (0x3000, 0x100, 3), (0x5000, 0x200, 4))
    assert list(ranges(pages)) == [(0x1E00, 0x3100), (0x5000, 0x5200)]
    assert range_of(pages, 2) == (0x1E00, 0x3100)
    assert range_of(pages, 4) == (0x5000, 0x5200)
    assert range_of(pages, None) == range_of(pages, 99) == (0x1E00, 0x3100)
    assert list(ranges([])) == []


@pytest.mark.parametrize(
    ("one", "other", "is_so"),
    [
        ((0x1000, 0x1200), (0x1200, 0x1400), True),
        ((0x1000, 0x2200), (0x2E00, 0x3000), True),
        ((0x1000, 0x2000), (0x2000, 0x3000), False),
        ((0x1000, 0x1200), (0x5000, 0x5200), False),
        ((0x1000, 0x1200), (0x1100, 0x1300), False),
    ],
)
def test_who_shares_a_page(one: tuple[int, int], other: tuple[int, int], is_so: bool) -> None:
    assert shares(one, other) is shares(other, one) is is_so
