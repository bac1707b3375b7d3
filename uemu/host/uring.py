"""io_uring from outside: whose ring a descriptor is, and completions posted to it.

Source: ``native/uring.c``; io_uring_enter(2), kcmp(2).
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Any, Final

from uemu._native import ffi, lib

RING_LINK: Final = "anon_inode:[io_uring]"
"""What /proc/PID/fd says that such a descriptor is."""


def is_ring(fd: int) -> bool:
    """Whether a descriptor of ours is an io_uring."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}") == RING_LINK
    except OSError:
        return False


def rings_of(pid: int) -> list[int]:
    """The descriptors of a process that are an io_uring; none of one that is gone."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{name}") == RING_LINK:
                    found.append(int(name))
    return found


def is_same_file(pid: int, fd: int, other: int, other_fd: int) -> bool:
    """Whether descriptors of two processes are one open file; who is gone has none."""
    return bool(lib.uemu_same_file(pid, fd, other, other_fd) == 1)


def why_not() -> str | None:
    """Why the io_urings of programs cannot be followed here, or None."""
    poster = Poster()
    err = poster.open()
    poster.close()
    return os.strerror(-err) if err else None


class Poster:
    """Posts completions to the rings of others."""

    def __init__(self) -> None:
        self._struct: Any = ffi.new("struct uemu_poster *")
        self._struct.fd = -1

    def open(self) -> int:
        """Prepare for it, and try it: 0, or -errno, as from io_uring_setup(2)."""
        if self._struct.fd >= 0:
            return 0
        err = int(lib.uemu_poster_open(self._struct))
        if err == 0:
            other: Any = ffi.new("struct uemu_poster *")
            err = int(lib.uemu_poster_open(other))
            if err == 0:
                err = self.post(other.fd, 0, 0)
                lib.uemu_poster_close(other)
            if err:
                self.close()
        return err

    def post(self, ring: int, user_data: int, result: int) -> int:
        """Complete a request of a ring, a descriptor of ours: 0, or -errno."""
        if self._struct.fd < 0:
            return -errno.EBADF
        return int(lib.uemu_post(self._struct, ring, user_data, result))

    def close(self) -> None:
        """Give it back."""
        if self._struct.fd >= 0:
            lib.uemu_poster_close(self._struct)
