"""Pages in a row: what is said to the kernel is said of ranges, not of each page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from uemu.abi import PAGE_SIZE

Run = tuple[int, int]
"""Whole pages: first address and the one behind the last."""


def runs_of(bases: Iterable[int]) -> Iterator[Run]:
    """Ascending page addresses as runs of neighbours."""
    start = end = -1
    for base in bases:
        if base != end:
            if end > start:
                yield start, end
            start = base
        end = base + PAGE_SIZE
    if end > start:
        yield start, end


def gaps_of(bases: Iterable[int], start: int, end: int) -> Iterator[Run]:
    """What lies between ascending page addresses of a range, as runs."""
    at = start
    for base in bases:
        if at < base:
            yield at, base
        at = base + PAGE_SIZE
    if at < end:
        yield at, end


def merge(many: Iterable[list[Run]]) -> Iterator[Run]:
    """Runs of several address spaces as disjoint ones."""
    start = end = 0
    for first, last in sorted(pair for runs in many for pair in runs):
        if first > end:
            if end:
                yield start, end
            start = first
        end = max(end, last)
    if end:
        yield start, end
