"""The buffer that a violation is about: where it lies, and what else lies on its pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from uemu.abi import PAGE_MASK, PAGE_SIZE
from uemu.events import Held


@dataclass(frozen=True, slots=True)
class HeldBuffer:
    """Memory that a device held, from ``start`` to ``end``, one behind its last byte.

    Attributes:
        api: who took the pages.
        pinned: whether that was a pin.
        long_term: a registration, and no single transfer.
        neighbours: what other I/O held on the same pages meanwhile, (start, end) each.
        memory: what it lies in: ``heap``, ``stack``, ``variable``, ``file``, ``anonymous``;
            "": unknown.
        owner: the same in words, with where that is.
    """

    start: int
    end: int
    api: str
    pinned: bool
    long_term: bool
    neighbours: tuple[tuple[int, int], ...] = ()
    memory: str = ""
    owner: str = ""

    @property
    def pages(self) -> tuple[int, int]:
        """Its first page, and one behind its last."""
        return self.start & PAGE_MASK, -(-self.end // PAGE_SIZE) * PAGE_SIZE

    @property
    def before(self) -> int:
        """Bytes of its first page that are not its."""
        return self.start - self.pages[0]

    @property
    def after(self) -> int:
        """Bytes of its last page that are not its."""
        return self.pages[1] - self.end

    @property
    def has_its_pages(self) -> bool:
        """Whether nothing else lies on its pages."""
        return not self.before and not self.after


def ranges(held: Iterable[Held]) -> Iterator[tuple[int, int]]:
    """The memory of an I/O, page by page as it was taken, in as few pieces as it has."""
    start = end = None
    for each in held:
        if each.addr != end or start is None:
            if start is not None and end is not None:
                yield start, end
            start = each.addr
        end = each.addr + each.length
    if start is not None and end is not None:
        yield start, end


def range_of(held: Sequence[Held], pfn: int | None) -> tuple[int, int]:
    """The piece of an I/O's memory that a frame belongs to; None: the first."""
    at = next((each.addr for each in held if pfn in (None, each.pfn)), held[0].addr)
    return next((start, end) for start, end in ranges(held) if start <= at < end)


def shares(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two pieces of memory that do not overlap lie on one page."""
    first, second = sorted((one, other))
    return first[1] <= second[0] and (first[1] - 1) & PAGE_MASK == second[0] & PAGE_MASK
