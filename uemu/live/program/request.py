"""What a program asks of a file: a request, and whether a device can have it.

Whatever cannot be a transfer is the host kernel's, which refuses it if need be.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import resource
import stat
from dataclasses import dataclass
from typing import Final

from uemu.abi import O_DIRECT, PAGE_SIZE, Direction

SECTOR: Final = 512

Buffers = list[tuple[int, int]]
"""Address and length of each piece, in bytes."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that can be a transfer.

    Attributes:
        fd: a descriptor of ours; whoever has the request closes it.
        buffers: address and length of each piece, in bytes.
        offset: bytes from the file's start; None: the file's own position.
        flags: RWF_*, an int.
    """

    fd: int
    direction: Direction
    buffers: Buffers
    offset: int | None
    flags: int

    @property
    def length(self) -> int:
        """Bytes asked for."""
        return sum(length for _, length in self.buffers)


def is_direct(fd: int) -> bool:
    """Whether a descriptor is open for direct I/O on a file or block device."""
    if not fcntl.fcntl(fd, fcntl.F_GETFL) & O_DIRECT:
        return False
    mode = os.fstat(fd).st_mode
    return stat.S_ISREG(mode) or stat.S_ISBLK(mode)


def is_aligned(buffers: Buffers) -> bool:
    """Whether direct I/O could take these; otherwise the host kernel refuses them itself."""
    return bool(buffers) and all(not addr % SECTOR and not size % SECTOR for addr, size in buffers)


def is_within_limit(pid: int, request: Request) -> bool:
    """Whether a process may make its file so large: else it gets SIGXFSZ, or less is written."""
    limit, _ = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    if limit == resource.RLIM_INFINITY:
        return True
    start = request.offset
    if request.flags & os.RWF_APPEND or fcntl.fcntl(request.fd, fcntl.F_GETFL) & os.O_APPEND:
        start = os.fstat(request.fd).st_size
    elif start is None:
        start = os.lseek(request.fd, 0, os.SEEK_CUR)
    return start + request.length <= limit


class Staging:
    """Memory of ours that files are read into and written from."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, 1 << 20)

    def views(self, buffers: Buffers) -> list[memoryview]:
        """Room for a request, each piece aligned as the program's is."""
        size = sum(length + PAGE_SIZE for _, length in buffers)
        if size > len(self._map):
            self._map = mmap.mmap(-1, (size + (1 << 20)) >> 20 << 20)
        views, at = [], 0
        for addr, length in buffers:
            at += addr % PAGE_SIZE
            views.append(memoryview(self._map)[at : at + length])
            at += length + -(addr + length) % PAGE_SIZE
        return views
