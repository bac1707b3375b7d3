"""Page frames in a memfd, where real processes can map them.

A pfn and the *slot* of its bytes in the memfd are two numbers. Slots are
handed out congruent with user addresses modulo 2 MiB, so that neighbouring
pages lie in neighbouring slots and the kernel merges their mappings; a
process may have 65,530 of them only (vm.max_map_count).
"""

from __future__ import annotations

import contextlib
import mmap
import os

from uemu.abi import MADV_POPULATE_WRITE, PAGE_SHIFT, PAGE_SIZE
from uemu.errors import HostError, OutOfFrames

EXTENT = 512
"""Slots of one extent: what one aligned 2 MiB of user addresses needs at a time."""

SIZES = (1 << 36, 1 << 34, 1 << 32, 1 << 30)
"""Bytes of address space to try for the memfd, sparse: the first that the machine allows."""

AHEAD = 16
"""Frames made present at once when they are taken in sequence."""

KEEP = 4096
"""Free frames whose memory is kept for the next user."""

_ZEROS = bytes(PAGE_SIZE)


class MemfdFrames:
    """A `FrameStore` whose frames real processes can map.

    Attributes:
        fd: the memfd.
    """

    def __init__(self) -> None:
        try:
            self.fd = os.memfd_create("uemu-frames", os.MFD_CLOEXEC)
        except OSError as error:
            raise HostError(
                "create a memfd", str(error), "uemu needs Linux 5.6 or later."
            ) from error
        self._map = self._map_whole()
        self._map.madvise(mmap.MADV_DONTDUMP)
        self._slots: dict[int, int] = {}
        self._next_pfn = 0
        self._extents: dict[int, list[int]] = {}
        self._blocks: list[int] = []
        self._depth: dict[int, int] = {}
        self._free: dict[int, list[int]] = {}
        self._nr_free = 0
        self._last = -2
        self._ready = -1

    def _map_whole(self) -> mmap.mmap:
        error: Exception | None = None
        for size in SIZES:
            try:
                os.ftruncate(self.fd, size)
                return mmap.mmap(self.fd, size)
            except (OSError, ValueError) as refused:
                error = refused
        os.close(self.fd)
        raise HostError(
            f"map {SIZES[-1] >> 30} GiB of page frames (sparse)",
            str(error),
            "Raise `ulimit -v` and `ulimit -f`.",
        )

    def close(self) -> None:
        """Give everything back."""
        with contextlib.suppress(BufferError):
            self._map.close()
        os.close(self.fd)

    def offset_of(self, pfn: int) -> int:
        """Where a frame's bytes are in the memfd, in bytes."""
        return self._slots[pfn] << PAGE_SHIFT

    def pfn_at(self, offset: int) -> int | None:
        """The frame that has this byte of the memfd now; a search, for checks."""
        slot = offset >> PAGE_SHIFT
        return next((pfn for pfn, taken in self._slots.items() if taken == slot), None)

    @property
    def size(self) -> int:
        """How many bytes of frames there can be."""
        return len(self._map)

    @property
    def nr_used(self) -> int:
        """How many frames are taken."""
        return len(self._slots)

    def alloc(self, near: int) -> int:
        """Take a frame with undefined contents, congruent with address ``near``."""
        vpn = near >> PAGE_SHIFT
        free = self._free.get(vpn)
        if free:
            slot = free.pop()
            self._nr_free -= 1
        else:
            slot = self._new_slot(vpn)
        pfn = self._next_pfn
        self._next_pfn = pfn + 1
        self._slots[pfn] = slot
        return pfn

    def _new_slot(self, vpn: int) -> int:
        extents = self._extents.setdefault(vpn // EXTENT, [])
        depth = self._depth.get(vpn, 0)
        if depth == len(extents):
            if (len(self._blocks) + 1) * EXTENT * PAGE_SIZE > len(self._map):
                raise OutOfFrames("take one more page frame", "all are in use",
                                  "Use fewer pages: a machine has no more.")  # fmt: skip
            extents.append(len(self._blocks))
            self._blocks.append(vpn // EXTENT)
        self._depth[vpn] = depth + 1
        slot = extents[depth] * EXTENT + vpn % EXTENT
        if slot == self._last + 1 and slot > self._ready:
            self._make_ready(slot)
        self._last = slot
        return slot

    def _make_ready(self, slot: int) -> None:
        """Make the coming frames of this extent present, cheaper than one by one."""
        end = min(slot + AHEAD, (slot // EXTENT + 1) * EXTENT)
        # Older kernels (before 5.14) refuse, and the frames come one by one.
        with contextlib.suppress(OSError):
            self._map.madvise(MADV_POPULATE_WRITE, slot * PAGE_SIZE, (end - slot) * PAGE_SIZE)
        self._ready = end - 1

    def free(self, pfn: int) -> None:
        """Give a frame back."""
        slot = self._slots.pop(pfn)
        if self._nr_free >= KEEP:
            self._map.madvise(mmap.MADV_REMOVE, slot * PAGE_SIZE, PAGE_SIZE)
        vpn = self._blocks[slot // EXTENT] * EXTENT + slot % EXTENT
        self._free.setdefault(vpn, []).append(slot)
        self._nr_free += 1

    def read(self, pfn: int, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset`` of a frame."""
        start = (self._slots[pfn] << PAGE_SHIFT) + offset
        return self._map[start : start + length]

    def write(self, pfn: int, offset: int, data: bytes) -> None:
        """Store ``data`` at ``offset`` of a frame."""
        start = (self._slots[pfn] << PAGE_SHIFT) + offset
        self._map[start : start + len(data)] = data

    def copy(self, dst: int, src: int) -> None:
        """Make frame ``dst`` byte for byte what ``src`` is."""
        slots = self._slots
        self._map.move(slots[dst] << PAGE_SHIFT, slots[src] << PAGE_SHIFT, PAGE_SIZE)

    def zero(self, pfn: int) -> None:
        """Fill a frame with zeros."""
        start = self._slots[pfn] << PAGE_SHIFT
        self._map[start : start + PAGE_SIZE] = _ZEROS
