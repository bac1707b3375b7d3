"""Page frames: 4 KiB each, numbered by pfn, bytes and nothing else.

A pfn is never handed out twice, so a story about pfn 7 is about one frame.
Where the bytes of a frame lie is the store's own affair. Not modelled,
therefore: a freed frame that is at once another process's, which is the other
thing that gup-fast's second look at the entry is for.
"""

from __future__ import annotations

from typing import Protocol

from uemu.abi import PAGE_SIZE


class FrameStore(Protocol):
    """Physical memory, as the kernel and a device see it."""

    def alloc(self, near: int) -> int:
        """Take a frame with undefined contents and return its pfn.

        Args:
            near: the page-aligned user address it will be mapped at, so that
                a real store can lay neighbours side by side.
        """
        ...

    def free(self, pfn: int) -> None:
        """Give a frame back."""
        ...

    def read(self, pfn: int, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset`` of a frame."""
        ...

    def write(self, pfn: int, offset: int, data: bytes) -> None:
        """Store ``data`` at ``offset`` of a frame."""
        ...

    def copy(self, dst: int, src: int) -> None:
        """Make frame ``dst`` byte for byte what ``src`` is."""
        ...

    def zero(self, pfn: int) -> None:
        """Fill a frame with zeros."""
        ...


class BytesStore:
    """Frames as byte arrays, for the simulated MMU. pfns count up from 0."""

    def __init__(self) -> None:
        self._frames: dict[int, bytearray] = {}
        self._next_pfn = 0

    def alloc(self, near: int) -> int:
        """Take a zeroed frame and return its pfn."""
        pfn = self._next_pfn
        self._next_pfn += 1
        self._frames[pfn] = bytearray(PAGE_SIZE)
        return pfn

    def free(self, pfn: int) -> None:
        """Give a frame back."""
        del self._frames[pfn]

    def read(self, pfn: int, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset`` of a frame."""
        return bytes(self._frames[pfn][offset : offset + length])

    def write(self, pfn: int, offset: int, data: bytes) -> None:
        """Store ``data`` at ``offset`` of a frame."""
        self._frames[pfn][offset : offset + len(data)] = data

    def copy(self, dst: int, src: int) -> None:
        """Make frame ``dst`` byte for byte what ``src`` is."""
        self._frames[dst][:] = self._frames[src]

    def zero(self, pfn: int) -> None:
        """Fill a frame with zeros."""
        self._frames[pfn][:] = bytes(PAGE_SIZE)
