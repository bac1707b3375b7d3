"""How real processes are born, whatever for: a new puppet, and the child of one."""

from __future__ import annotations

import os
from typing import NamedTuple

from uemu.abi import SYS_FORK, SYS_MMAP
from uemu.errors import Fault, HostError, ProcessDied
from uemu.host import native
from uemu.live.area import AREA_BASE, Area, Areas, Slot
from uemu.live.hands import Hands
from uemu.live.puppet import PuppetProcess, PuppetThread
from uemu.mm.mm_struct import MmStruct

CONTROL_FD = 3
FRAMES_FD = 4
"""Descriptor numbers in a puppet."""

SYSCALL_INT3 = 0xCC050F
"""``syscall; int3`` as the low bytes of a little-endian word."""


class Newborn(NamedTuple):
    """A real process that stands at its birth.

    Attributes:
        pid: its process id.
        area: its control area.
        slot: the slot of its only thread.
    """

    pid: int
    area: Area
    slot: Slot


class Newborns:
    """Makes real processes; what they are for is their maker's affair.

    Args:
        frames_fd: the memfd of the frames, which each new puppet inherits.
    """

    def __init__(self, hands: Hands, areas: Areas, frames_fd: int) -> None:
        self._hands = hands
        self._reports = hands.reports
        self._areas = areas
        self._frames_fd = frames_fd

    def spawn(self) -> Newborn:
        """Start a process with nothing mapped."""
        area = self._areas.open()
        slot = area.take()
        try:
            pid = self._start_puppet()
        except BaseException:
            self._areas.close_area(area)
            raise
        try:
            entry = native.instruction_pointer(pid)
            text = native.peek(pid, entry)
            native.poke(pid, entry, text & ~0xFFFFFF | SYSCALL_INT3)
            self._map_area(pid, entry, area)
            native.poke(pid, entry, text)
        except (HostError, ProcessLookupError) as error:
            native.end(pid)
            self._areas.close_area(area)
            if isinstance(error, HostError):
                raise
            raise HostError("start a puppet", str(error), "Something killed it.") from error
        return Newborn(pid, area, slot)

    def _start_puppet(self) -> int:
        """Start the program; its pid, stopped at its first instruction."""
        try:
            devnull = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise HostError("start a puppet", str(error), "Raise `ulimit -n`.") from error
        try:
            fds = [devnull, devnull, devnull, self._areas.fd, self._frames_fd]
            return native.spawn(str(native.PUPPET), ["uemu-puppet"], [], fds, autoreap=True)
        finally:
            os.close(devnull)

    def fork(self, thread: PuppetThread, before: list[native.Call]) -> Newborn:
        """fork(2), after other calls: a process that has really mapped what its parent has.

        Raises:
            Fault: the kernel refused.
            HostError: the calls before failed, or there is no room for an area.
            ProcessDied: one of the two died on the way.
        """
        pid = self.make_child(thread, before, (SYS_FORK, 0, 0, 0, 0, 0, 0), "fork")
        return self._settle_child(pid, thread.slot)

    def _settle_child(self, pid: int, slot: Slot) -> Newborn:
        """Give a newborn process, which stands in its parent's ``slot``, one of its own."""
        try:
            area = self._areas.open()
        except HostError:
            native.end(pid)
            raise
        try:
            own = area.take(slot.index)
            self._map_area(pid, slot.syscall, area)
        except (HostError, ProcessLookupError) as error:
            self._areas.close_area(area)
            native.end(pid)
            if isinstance(error, HostError):
                raise
            raise ProcessDied(pid, "was killed", "its birth") from error
        return Newborn(pid, area, own)

    def enter(self, newborn: Newborn, name: str, mm: MmStruct) -> PuppetProcess:
        """Make a newborn a known process, and its only thread a known thread."""
        process = PuppetProcess(newborn.pid, name, mm, newborn.area)
        self._reports.enter(process)
        self._reports.enter_thread(PuppetThread(newborn.pid, process, name, newborn.slot))
        return process

    def make_child(
        self, thread: PuppetThread, before: list[native.Call], call: native.Call, what: str
    ) -> int:
        """Make calls, then one that starts a thread or process; its id, stopped at birth.

        Raises:
            Fault: the kernel refused.
            HostError: the calls before failed.
            ProcessDied: the process, or its child, died on the way.
        """
        self._reports.stillborn.clear()
        try:
            results = self._hands.make_calls(thread, [*before, call], what)
            if len(results) <= len(before):
                self._hands.must_work(thread, before, results)
            tid = results[-1]
            if tid < 0:
                raise Fault(-tid, 0, f"the real {what}: {os.strerror(-tid)}")
            self.await_birth(tid)
        except BaseException:
            for stray in (self._reports.born | self._reports.newborn) - self._reports.stillborn:
                native.end(stray)
            self._reports.newborn.clear()
            raise
        finally:
            self._reports.born.clear()
        return tid

    def await_birth(self, tid: int) -> None:
        """Wait until a child stands at its birth."""
        reports = self._reports
        while tid not in reports.newborn:
            if tid in reports.stillborn or reports.wait():
                raise ProcessDied(tid, "was killed", "its birth")
            reports.take(reports.event, 0)
        reports.newborn.remove(tid)

    def _map_area(self, pid: int, gadget: int, area: Area) -> None:
        """Map a control area into a stopped process, by ``syscall; int3`` at ``gadget``."""
        fixed = 0x01 | 0x10
        code, rest = native.SLOT_AT, native.AREA_SIZE - native.SLOT_AT
        for call in (
            (SYS_MMAP, AREA_BASE, code, 0x1 | 0x4, fixed, CONTROL_FD, area.offset),
            (SYS_MMAP, AREA_BASE + code, rest, 0x1 | 0x2, fixed, CONTROL_FD, area.offset + code),
        ):
            result = native.syscall(pid, gadget, call)
            if result < 0:
                raise HostError("map a puppet's control area", os.strerror(-result),
                                "Raise `ulimit -v`.")  # fmt: skip
