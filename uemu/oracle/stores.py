"""What each address space last stored where, to tell whether it is still there.

A process reads back what its own threads stored last, unless a device wrote
there for it or it took the mapping away. If not, a store is lost: some CPU
stored to a frame that its mm had left, through a stale translation.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from uemu.abi import PAGE_MASK, PAGE_SIZE
from uemu.events import MmId

PAGES = 256
"""How many pages are remembered, the last stored to."""


@dataclass(slots=True)
class _Page:
    """The bytes of one page that its mm stored, and which these are."""

    data: bytearray = field(default_factory=lambda: bytearray(PAGE_SIZE))
    known: bytearray = field(default_factory=lambda: bytearray(PAGE_SIZE))


class LastStores:
    """The last store of each mm to each byte."""

    def __init__(self) -> None:
        self._pages: OrderedDict[tuple[MmId, int], _Page] = OrderedDict()

    def stored(self, mm: MmId, addr: int, data: bytes) -> None:
        """A thread of ``mm`` stored ``data``, inside one page."""
        key = mm, addr & PAGE_MASK
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = _Page()
        self._pages.move_to_end(key)
        if len(self._pages) > PAGES:
            self._pages.popitem(last=False)
        start = addr % PAGE_SIZE
        page.data[start : start + len(data)] = data
        page.known[start : start + len(data)] = b"\1" * len(data)

    def overwritten(self, mm: MmId, addr: int, length: int) -> None:
        """Somebody else wrote there on behalf of ``mm``, inside one page."""
        page = self._pages.get((mm, addr & PAGE_MASK))
        if page is not None:
            start = addr % PAGE_SIZE
            page.known[start : start + length] = bytes(length)

    def forget(self, mm: MmId, start: int, end: int) -> None:
        """The mm took ``[start, end)`` away."""
        for key in [key for key in self._pages if key[0] == mm and start <= key[1] < end]:
            del self._pages[key]

    def moved(self, mm: MmId, start: int, end: int, shift: int) -> None:
        """The mm moved ``[start, end)`` by ``shift`` bytes."""
        for key in [key for key in self._pages if key[0] == mm and start <= key[1] < end]:
            self._pages[mm, key[1] + shift] = self._pages.pop(key)

    def missing(self, mm: MmId, addr: int, data: bytes) -> list[int]:
        """The addresses where ``mm`` reads something else than it stored, said once."""
        page = self._pages.get((mm, addr & PAGE_MASK))
        if page is None:
            return []
        start = addr % PAGE_SIZE
        stop = start + len(data)
        if page.data[start:stop] == data or not any(page.known[start:stop]):
            return []
        lost = [
            addr + at - start
            for at in range(start, stop)
            if page.known[at] and page.data[at] != data[at - start]
        ]
        if lost:
            del self._pages[mm, addr & PAGE_MASK]
        return lost
