"""Which pipe a descriptor is, who has it, and how much is in it."""

from __future__ import annotations

import fcntl
import os
import stat
import termios

from uemu.host import tracee
from uemu.live.program.tracees import Tracees

Inode = tuple[int, int]
"""Device and number."""


class Names:
    """Where to find each pipe: a process and a descriptor of it."""

    def __init__(self, tracees: Tracees) -> None:
        self._tracees = tracees
        self._names: dict[Inode, tuple[int, int]] = {}

    def note(self, inode: Inode, pid: int, fd: int) -> None:
        """Somebody has it by that name."""
        self._names[inode] = pid, fd & 0xFFFF_FFFF

    def forget(self, inode: Inode) -> None:
        """Nobody is going to ask for it."""
        self._names.pop(inode, None)

    def unread_of(self, inode: Inode) -> int:
        """How many bytes a pipe has; -1: it is gone."""
        tasks = {task.pid: task for task in self._tracees.tasks.values()}
        pid, fd = self._names.get(inode, (0, -1))
        if pid not in tasks or pipe_of(pid, fd) != inode:
            names = ((pid, fd) for pid in tasks for fd in _descriptors(pid))
            found = next((name for name in names if pipe_of(*name) == inode), None)
            if found is None:
                return -1
            self._names[inode] = pid, fd = found
        own = tracee.getfd(pid, fd, tasks[pid].tid)
        if own < 0:
            return -1
        try:
            return unread_of(own)
        finally:
            os.close(own)


def pipe_of(pid: int, fd: int) -> Inode | None:
    """The pipe that a descriptor is; None: it is none."""
    try:
        status = os.stat(f"/proc/{pid}/fd/{fd & 0xFFFF_FFFF}")
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISFIFO(status.st_mode) else None


def is_socket(pid: int, fd: int) -> bool:
    """Whether a descriptor is a socket."""
    try:
        return stat.S_ISSOCK(os.stat(f"/proc/{pid}/fd/{fd & 0xFFFF_FFFF}").st_mode)
    except OSError:
        return False


def unread_of(own: int) -> int:
    """How many bytes there are to read, by a descriptor of ours."""
    data = fcntl.ioctl(own, termios.FIONREAD, bytes(4))
    return int.from_bytes(data, "little")


def _descriptors(pid: int) -> list[int]:
    """The descriptors of a process; none of one that is gone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return []
