"""Control areas: memory the tracer shares with one traced process.

Each thread of the process has a slot: a page of code, a page that tells the
code what to do, a page of bytes on their way. The layout is C's
(``native/uemu_native.h``). All areas lie in one memfd and at one address.
"""

from __future__ import annotations

import contextlib
import mmap
import os

from uemu.abi import PAGE_SIZE, RemoteAddr
from uemu.errors import HostError
from uemu.host import native

AREA_BASE = RemoteAddr(0x0FFF_0000_0000)
"""Where a process has its area, in bytes: below all emulated memory."""

ENTRIES = native.entries()


class Slot:
    """One thread's slot.

    Attributes:
        index: its number in the area.
        struct: what the code in it is told.
        code: the address of its code page in the process, in bytes.
        resume, calls, syscall: addresses of those entry points.
        buffer: the address of its buffer page.
    """

    __slots__ = (
        "_buffer",
        "_map",
        "buffer",
        "calls",
        "code",
        "index",
        "resume",
        "struct",
        "syscall",
    )

    def __init__(self, area: mmap.mmap, index: int, base: int = AREA_BASE) -> None:
        self.index = index
        self._map = area
        native.write_stub(area, index * PAGE_SIZE)
        at = native.SLOT_AT + index * PAGE_SIZE
        # Whoever had the memory before may have died in the middle of a call.
        area[at : at + PAGE_SIZE] = bytes(PAGE_SIZE)
        self.struct = native.slot_at(area, at)
        self._buffer = native.BUFFER_AT + index * PAGE_SIZE
        self.buffer = base + self._buffer
        self.code = base + index * PAGE_SIZE
        self.resume = self.code + ENTRIES.resume
        self.calls = self.code + ENTRIES.calls
        self.syscall = self.code + ENTRIES.syscall

    def entry(self, name: str) -> int:
        """The address of another entry point: ``store8``, ``load_bytes`` ..."""
        offset: int = getattr(ENTRIES, name)
        return self.code + offset

    def queue(self, calls: list[native.Call]) -> None:
        """Tell the slot which calls to make next, MAX_CALLS at most."""
        struct = self.struct
        struct.count = len(calls)
        for queued, call in zip(struct.calls, calls, strict=False):
            queued.nr = call[0]
            queued.args = call[1:]

    def result(self, index: int) -> int:
        """What the call numbered ``index`` returned."""
        value: int = self.struct.calls[index].ret
        return value

    def put(self, data: bytes) -> None:
        """Lay bytes into the buffer page."""
        self._map[self._buffer : self._buffer + len(data)] = data

    def get(self, length: int) -> bytes:
        """Take bytes out of the buffer page."""
        return self._map[self._buffer : self._buffer + length]


class Area:
    """One process's area.

    Attributes:
        offset: where it lies in the memfd, in bytes.
    """

    def __init__(self, fd: int, offset: int) -> None:
        self.offset = offset
        self._map = mmap.mmap(fd, native.AREA_SIZE, offset=offset)
        self._slots: dict[int, Slot] = {}

    def take(self, index: int | None = None) -> Slot:
        """Take a free slot, or the one numbered ``index``.

        Raises:
            HostError: a process has too many threads.
        """
        free = (i for i in range(native.SLOTS) if i not in self._slots)
        chosen = next(free, None) if index is None else index
        if chosen is None:
            raise HostError(
                "start one more thread in a puppet",
                f"{native.SLOTS} are the most",
                "Spread the threads over several processes.",
            )
        slot = self._slots[chosen] = Slot(self._map, chosen)
        return slot

    def give_back(self, slot: Slot) -> None:
        """Let the next thread have a slot."""
        native.forget_slot(slot.struct)
        # Whoever still uses it finds nothing, instead of memory that is gone.
        slot.struct = native.NO_SLOT
        self._slots.pop(slot.index, None)

    def close(self) -> None:
        """Unmap it; the memory goes when the process does."""
        for slot in list(self._slots.values()):
            self.give_back(slot)
        with contextlib.suppress(BufferError):
            self._map.close()


class Areas:
    """All areas of one tracer, in one memfd.

    Attributes:
        fd: the memfd.
    """

    def __init__(self) -> None:
        self.fd = os.memfd_create("uemu-control", os.MFD_CLOEXEC)
        self._free: list[int] = []
        self._size = 0

    def open(self) -> Area:
        """Begin an area for a new process; a slot is zeroed when it is taken."""
        if not self._free:
            self._free.append(self._size)
            self._size += native.AREA_SIZE
        try:
            os.ftruncate(self.fd, self._size)
            area = Area(self.fd, self._free[-1])
        except OSError as error:
            raise HostError("map a control area", str(error),
                            "Raise `ulimit -n` and `ulimit -v`.") from error  # fmt: skip
        self._free.pop()
        return area

    def close_area(self, area: Area) -> None:
        """Take an area back whose process is gone."""
        area.close()
        self._free.append(area.offset)

    def close(self) -> None:
        """Give the memfd back."""
        os.close(self.fd)
