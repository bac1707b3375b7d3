"""Which rings of io_uring there are, by which descriptors processes know them, and their ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from uemu import abi as linux
from uemu.host import uring as host
from uemu.host.tracee import Stop
from uemu.live.program.tasks import Task
from uemu.live.program.tracees import Tracees
from uemu.live.program.uring_register import Register
from uemu.live.program.uring_ring import Ring

CLOSE_RANGE_CLOEXEC: Final = 4


class Rings:
    """The rings of all programs."""

    def __init__(self, tracees: Tracees, register: Register) -> None:
        self._tracees = tracees
        self._register = register
        self._rings: list[Ring] = []

    def add(self, task: Task, fd: int, ring: Ring) -> None:
        """A task has made one."""
        task.process.rings[fd] = ring
        self._rings.append(ring)

    def close(self) -> None:
        """Give back what stands for files."""
        for ring in self._rings:
            ring.forget_files()

    def ring_of(self, task: Task, fd: int) -> Ring | None:
        """What ring a descriptor is; None: it is none that we know."""
        fd &= 0xFFFF_FFFF
        ring = task.process.rings.get(fd)
        if ring is None:
            ring = self._by_another_name(task, fd)
        return ring

    def _by_another_name(self, task: Task, fd: int) -> Ring | None:
        """A descriptor that dup(2) made, or its like."""
        for ring in self._rings:
            for pid, other in self.names_of(ring):
                if host.is_same_file(task.pid, fd, pid, other):
                    task.process.rings[fd] = ring
                    return ring
        return None

    def names_of(self, ring: Ring) -> Iterator[tuple[int, int]]:
        """Process and descriptor, of those we know."""
        processes = {task.pid: task.process for task in self._tracees.tasks.values()}
        for process in processes.values():
            for fd, known in process.rings.items():
                if known is ring:
                    yield process.pid, fd

    # Ends ------------------------------------------------------------------------------------

    def closes(self, task: Task, stop: Stop) -> None:
        """close, dup2, dup3, close_range: what rings have no name then is released."""
        first = last = stop.args[0 if stop.nr in (linux.SYS_CLOSE, linux.SYS_CLOSE_RANGE) else 1]
        if stop.nr == linux.SYS_CLOSE_RANGE:
            last = -1 if stop.args[2] & CLOSE_RANGE_CLOEXEC else stop.args[1] & 0xFFFF_FFFF
        rings = task.process.rings
        for fd in [fd for fd in rings if first & 0xFFFF_FFFF <= fd <= last & 0xFFFF_FFFF]:
            self._find_other_name(task, fd)
            self._end(rings.pop(fd))

    def _find_other_name(self, task: Task, fd: int) -> None:
        ring = task.process.rings[fd]
        for other in {each.pid: each for each in self._tracees.tasks.values()}.values():
            for name in host.rings_of(other.pid):
                known = other.process.rings.get(name)
                is_it = known is None and host.is_same_file(task.pid, fd, other.pid, name)
                if is_it and (other.pid, name) != (task.pid, fd):
                    other.process.rings[name] = ring
                    return

    def execed(self, task: Task) -> None:
        """A new program has those of its process's rings that were not to be closed."""
        left = host.rings_of(task.pid)
        rings = task.process.rings
        for fd in [fd for fd in rings if fd not in left]:
            self._end(rings.pop(fd))

    def look_for_ends(self) -> None:
        """A process is gone, and perhaps its rings."""
        for ring in list(self._rings):
            self._end(ring)

    def _end(self, ring: Ring) -> None:
        """Release a ring that nobody has any more."""
        if ring in self._rings and next(self.names_of(ring), None) is None:
            self._rings.remove(ring)
            self._register.release_all(ring)
