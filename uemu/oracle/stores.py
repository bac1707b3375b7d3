"""What each address space last stored where, to tell whether it is still there.

A process reads back what its own threads stored last, unless a device wrote
there for it or it took the mapping away. If not, a store is lost: some CPU
stored to a frame that its mm had left, through a stale translation.
"""

from __future__ import annotations

from collections import OrderedDict

from uemu.abi import PAGE_MASK, PAGE_SIZE
from uemu.events import MmId

PAGES = 256
"""How many pages are remembered, the last stored to."""

STORES = 64
"""How many stores to a page are remembered, the last ones."""

_Piece = tuple[int, int, bytes]
"""First offset, last offset + 1, and what was stored there; b"" if that is unknown."""


class LastStores:
    """The last stores of each mm, page by page."""

    def __init__(self) -> None:
        self._pages: OrderedDict[tuple[MmId, int], list[_Piece]] = OrderedDict()

    def stored(self, mm: MmId, addr: int, data: bytes) -> None:
        """A thread of ``mm`` stored ``data``, inside one page."""
        key = mm, addr & PAGE_MASK
        pieces = self._pages.get(key)
        if pieces is None:
            pieces = self._pages[key] = []
            if len(self._pages) > PAGES:
                self._pages.popitem(last=False)
        else:
            self._pages.move_to_end(key)
        start = addr % PAGE_SIZE
        _put(pieces, start, start + len(data), data)

    def overwritten(self, mm: MmId, addr: int, length: int) -> None:
        """Somebody else wrote there on behalf of ``mm``, inside one page."""
        pieces = self._pages.get((mm, addr & PAGE_MASK))
        if pieces is not None:
            start = addr % PAGE_SIZE
            _put(pieces, start, start + length, b"")

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
        pieces = self._pages.get((mm, addr & PAGE_MASK))
        if pieces is None:
            return []
        first = addr % PAGE_SIZE
        last = first + len(data)
        wanted, known = bytearray(data), bytearray(len(data))
        for start, stop, piece in pieces:
            low, high = max(start, first), min(stop, last)
            if low >= high:
                continue
            here = slice(low - first, high - first)
            # Where nothing is known, anything may be read.
            wanted[here] = piece[low - start : high - start] or data[here]
            known[here] = (b"\1" if piece else b"\0") * (high - low)
        if wanted == data:
            return []
        del self._pages[mm, addr & PAGE_MASK]
        return [addr + at for at in range(len(data)) if known[at] and wanted[at] != data[at]]


def _put(pieces: list[_Piece], start: int, stop: int, data: bytes) -> None:
    """Add a store and drop what it covers; beyond `STORES`, the oldest are unknown."""
    if pieces:
        pieces[:] = [piece for piece in pieces if piece[0] < start or piece[1] > stop]
        if len(pieces) >= STORES:
            del pieces[0]
    pieces.append((start, stop, data))
