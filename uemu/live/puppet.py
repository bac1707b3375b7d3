"""Puppets: real processes and threads whose every access the tracer orders.

A puppet's thread is always stopped, at an ``int3`` of its slot, unless it is
being run. To run it the tracer fills the slot and sets rip: the thread stores
or loads, or makes system calls, and stops again.
"""

from __future__ import annotations

from uemu.live.area import Area, Slot
from uemu.mm.mm_struct import MmStruct
from uemu.step import Cpu


class PuppetThread:
    """A real thread.

    Attributes:
        tid: its thread id.
        process: the process it belongs to.
        cpu: what it is called in events, and where its kernel code runs.
        slot: its slot in the process's area.
        in_vfork: the child it waits for in vfork(2), if it does.
        nr_calls: how often it was made to make system calls, which leaves its
            registers and its place behind.
    """

    def __init__(self, tid: int, process: PuppetProcess, name: str, slot: Slot) -> None:
        self.tid = tid
        self.process = process
        self.cpu = Cpu(name)
        self.slot = slot
        self.in_vfork: PuppetProcess | None = None
        self.nr_calls = 0


class PuppetProcess:
    """A real process.

    Attributes:
        pid: its process id.
        name: what people call it.
        mm: its emulated address space, its parent's as long as vfork lasts.
        area: its control area, likewise.
        threads: by tid; the first is the leader.
        death: how it ended, or None while it lives.
        is_dying: one of its threads was killed, and so all are.
        status: its exit status then, or the negative of the signal.
    """

    def __init__(self, pid: int, name: str, mm: MmStruct, area: Area) -> None:
        self.pid = pid
        self.name = name
        self.mm = mm
        self.area = area
        self.threads: dict[int, PuppetThread] = {}
        self.death: str | None = None
        self.is_dying = False
        self.status = 0

    def is_gone(self) -> bool:
        """Whether it has ended."""
        return self.death is not None

    @property
    def leader(self) -> PuppetThread:
        """The first thread."""
        return self.threads[self.pid]
