"""Contexts of libaio: a ring of events in the program's memory, as Linux lays it out.

A program may look into it and take events out by itself (fio, QEMU), so that
where the first one is, is only there. Where the next one goes, is known here.

Source: Linux v6.1, fs/aio.c:struct aio_ring, ioctx_alloc, aio_setup_ring.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from uemu.abi import PAGE_SIZE
from uemu.host.procfs import ProcessMemory
from uemu.live.program.tasks import Task

HEAD = struct.Struct("=8I")
EVENT = struct.Struct("=QQqq")
MAGIC: Final = 0xA10A10A1
COMPAT_FEATURES, INCOMPAT_FEATURES = 1, 0

_HEAD_AT: Final = 8
_TAIL_AT: Final = 12
MOST_BYTES: Final = 0x1000_0000


def most_requests() -> int:
    """How many may be asked for. Linux: /proc/sys/fs/aio-max-nr."""
    try:
        return int(Path("/proc/sys/fs/aio-max-nr").read_text())
    except OSError:
        return 0x10000


def pages_for(nr_events: int) -> int | None:
    """How many pages the ring has for so many events asked for; None: that is too many."""
    nr = 2 * max(nr_events, 4 * os.sysconf("SC_NPROCESSORS_CONF"))
    if nr > MOST_BYTES // EVENT.size:
        return None
    return -(-(HEAD.size + (nr + 2) * EVENT.size) // PAGE_SIZE)


class Ring:
    """The events that nobody has collected yet.

    Attributes:
        at: its address, which is the context's name.
        nr_pages: how long it is.
    """

    def __init__(self, memory: ProcessMemory, at: int, nr_pages: int, number: int) -> None:
        self._memory = memory
        self.at = at
        self.nr_pages = nr_pages
        self._nr = (nr_pages * PAGE_SIZE - HEAD.size) // EVENT.size
        self._tail = 0
        features = COMPAT_FEATURES, INCOMPAT_FEATURES
        memory.write(at, HEAD.pack(number, self._nr, 0, 0, MAGIC, *features, HEAD.size))

    @property
    def room(self) -> int:
        """How many events, collected or not, there may be in all."""
        return self._nr - 1

    @property
    def size(self) -> int:
        """How many there are a call may take at once."""
        return self._nr

    def is_there(self) -> bool:
        """Whether the program has it mapped still."""
        try:
            return len(self._memory.read(self.at, 4)) == 4
        except OSError:
            return False

    def _head(self) -> int:
        try:
            word = self._memory.read(self.at + _HEAD_AT, 4)
        except OSError:
            # A ring that the program unmapped is its own affair.
            return self._tail
        return int.from_bytes(word, "little") % self._nr

    def __len__(self) -> int:
        return (self._tail - self._head()) % self._nr

    def push(self, event: bytes) -> None:
        """Add one behind the last."""
        self._memory.write(self.at + HEAD.size + self._tail * EVENT.size, event)
        self._tail = (self._tail + 1) % self._nr
        self._memory.write(self.at + _TAIL_AT, self._tail.to_bytes(4, "little"))

    def first(self, count: int) -> bytes:
        """The first events, ``count`` at most, one behind the other."""
        head = self._head()
        count = min(count, (self._tail - head) % self._nr)
        until_end = min(count, self._nr - head)
        events, start = self.at + HEAD.size, head * EVENT.size
        data = self._memory.read(events + start, until_end * EVENT.size) if until_end else b""
        if count > until_end:
            data += self._memory.read(events, (count - until_end) * EVENT.size)
        return data

    def drop(self, count: int) -> None:
        """The first ones are collected."""
        head = (self._head() + count) % self._nr
        self._memory.write(self.at + _HEAD_AT, head.to_bytes(4, "little"))


@dataclass(eq=False, slots=True)
class Waiting:
    """Who waits for events.

    Attributes:
        least, most: how many it wants.
        events: where they go.
        deadline: until when, by `time.monotonic`; None: for ever.
        given: how many it has got.
    """

    task: Task
    least: int
    most: int
    events: int
    deadline: float | None
    given: int = 0


@dataclass(eq=False, slots=True)
class Context:
    """What io_setup makes.

    Attributes:
        in_flight: how many requests have not ended.
        waiting: who waits in io_getevents.
    """

    ring: Ring
    in_flight: int = 0
    waiting: list[Waiting] = field(default_factory=list)

    def has_room(self) -> bool:
        """Whether one more request may come."""
        return self.in_flight + len(self.ring) < self.ring.room
