"""Looking at real processes from outside: /proc, and pidfds to wait without sleeping."""

from __future__ import annotations

import os
import select
import threading
import warnings
from collections.abc import Iterable
from pathlib import Path

import uemu

TIMEOUT_MS = 20_000
"""Long enough for any machine; nobody waits that long."""


def state(pid: int) -> str | None:
    """The state letter of a process, or None if there is none with that id."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return stat.rpartition(")")[2].split()[0]


def parent_of(pid: int) -> int:
    """The process id of a process's parent."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def threads_of(pid: int) -> set[int]:
    """The thread ids of a process."""
    return {int(name) for name in os.listdir(f"/proc/{pid}/task")}


def mappings_of(pid: int) -> int:
    """How many mappings a process has."""
    return len(Path(f"/proc/{pid}/maps").read_text().splitlines())


def frames_mapped_by(pid: int | str) -> int:
    """How many of its mappings are page frames of a machine."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return sum("memfd:uemu-frames" in line for line in lines)


def fork() -> int:
    """os.fork(), although this process has threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


class Watch:
    """Waits for the end of processes that are nobody's children here."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._pidfds = {pid: os.pidfd_open(pid) for pid in pids}

    def ended(self) -> set[int]:
        """Wait until all have ended; which have. A zombie has ended."""
        left = {fd: pid for pid, fd in self._pidfds.items()}
        poll = select.poll()
        for fd in left:
            poll.register(fd, select.POLLIN)
        while left:
            ready = poll.poll(TIMEOUT_MS)
            if not ready:
                break
            for fd, _ in ready:
                poll.unregister(fd)
                del left[fd]
        for fd in self._pidfds.values():
            os.close(fd)
        return set(self._pidfds) - set(left.values())


def own_resources() -> dict[str, set[str] | int]:
    """What this process has open: descriptors, threads, page frames, children."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "descriptors": set(os.listdir("/proc/self/fd")),
        # Not /proc/self/task: a thread that was joined may still be there for a moment.
        "threads": {str(thread.ident) for thread in threading.enumerate()},
        "frames mapped": frames_mapped_by("self"),
        "children": set(children),
    }


def filled(machine: uemu.Machine, nr_pages: int = 1) -> tuple[uemu.Process, int]:
    """A process with pages full of ``I``."""
    process = machine.spawn()
    buf = process.mmap(nr_pages * uemu.PAGE_SIZE)
    process.store(buf, b"I" * nr_pages * uemu.PAGE_SIZE)
    return process, buf
