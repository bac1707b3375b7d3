"""SIGSEGV and other signals: which are ours, and how the others reach the program."""

from __future__ import annotations

import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from uemu.abi import PAGE_MASK, PROT_WRITE, SYS_RT_SIGACTION, SYS_SIGALTSTACK
from uemu.errors import Fault
from uemu.host import native, tracee
from uemu.host.tracee import Stop
from uemu.live.area import Slot
from uemu.live.program.framing import Framing
from uemu.live.program.schedule import Schedule
from uemu.live.program.segv_action import SIG_DFL, SIG_IGN, SegvAction
from uemu.live.program.tasks import Task
from uemu.live.program.tracees import Tracees

RETRIES = 100
"""How often in a row a thread may fault at one place where its page table says all is well."""

RED_ZONE: Final = 128
"""Bytes below the stack pointer that a signal frame leaves alone."""

AT_MINSIGSTKSZ: Final = 51

SEGV_MAPERR, SEGV_ACCERR = 1, 2
SA_ONSTACK: Final = 0x0800_0000
SS_DISABLE: Final = 2


def frame_size() -> int:
    """The most that a signal frame takes on this machine, in bytes."""
    words = struct.iter_unpack("=QQ", Path("/proc/self/auxv").read_bytes())
    # Since Linux 5.14; a frame without AVX-512 is smaller than what is said else.
    size: int = dict(words).get(AT_MINSIGSTKSZ, 4096)
    return size


class Faults:
    """Handles stops for signals."""

    def __init__(
        self,
        tracees: Tracees,
        framing: Framing,
        schedule: Schedule,
        segv: SegvAction,
        slot: Slot,
        break_cow: Callable[[Task, list[tuple[int, int]]], None],
    ) -> None:
        self._tracees = tracees
        self._break_cow = break_cow
        self._frame_size = frame_size()
        self._framing = framing
        self._schedule = schedule
        self._segv = segv
        self._slot = slot
        self._retried: dict[int, tuple[int, int, int]] = {}

    def on_segv(self, task: Task, stop: Stop) -> None:
        """A fault: on a frame it is the kernel's, else the program's own."""
        base = stop.addr & PAGE_MASK
        pte = self._framing.pte(task.mm, base)
        if pte is None:
            if self._is_over(task, stop) and self._may_retry(task, stop):
                self._segv.restore(task)
                self._tracees.resume(task)
            else:
                self._deliver_segv(task, forced=True)
            return
        if pte.write and not self._may_retry(task, stop):
            self._deliver_segv(task, forced=True)
            return
        if not pte.write:
            try:
                self._framing.fault(task, stop.addr, write=True)
            except Fault:
                self._deliver_segv(task, forced=True)
                return
        self._segv.restore(task)
        soon = self._schedule.wrote(task.mm, base, pte.pfn) if not pte.write else []
        if not soon and not self._schedule.is_watched(task.mm, base, pte.pfn):
            self._tracees.resume(task)
            return
        # The store itself, before the device looks.
        before = self._framing.bytes_of(pte.pfn)
        self._tracees.resume(task, how=tracee.ONE_STEP)
        after = self._tracees.await_stop(task.tid)
        self._framing.say_what_changed(task, base, pte.pfn, before)
        for flight in soon:
            flight.written = True
            self._schedule.end(flight)
        if after.kind == native.TRAP:
            self._tracees.resume(task)
        else:
            self._tracees.keep(after)

    def _is_over(self, task: Task, stop: Stop) -> bool:
        """Whether a fault was at a frame that is one no more: its report came too late.

        Between the two, another thread's fork gave the page back to the program:

            thread                      another thread
            stores: fault
                                        fork: the page is idle, `unframe`
            is reported here

        All stores to a frame that fault are to memory the program may write.
        """
        if task.process.stage < 2 or stop.code not in (SEGV_MAPERR, SEGV_ACCERR):
            return False
        real = task.mm.memory.vma_at(stop.addr)
        return real is not None and bool(real.prot & PROT_WRITE)

    def _may_retry(self, task: Task, stop: Stop) -> bool:
        """Another thread was faster, or the access is one that no page table allows."""
        ip, addr, count = self._retried.get(task.tid, (0, 0, 0))
        count = count + 1 if (ip, addr) == (stop.ip, stop.addr) else 1
        self._retried[task.tid] = stop.ip, stop.addr, count
        return count < RETRIES

    def on_signal(self, task: Task, stop: Stop) -> None:
        """A signal for the program."""
        self._tracees.excuse(task, stop.code)
        task.resumes = tracee.resumes(task.tid) or task.resumes
        if stop.code == signal.SIGSEGV:
            self._deliver_segv(task, forced=False)
        else:
            self._deliver(task, stop.code)

    def _deliver_segv(self, task: Task, *, forced: bool) -> None:
        """Let a task have a SIGSEGV that is the program's own."""
        if self._segv.delivers(task, forced=forced):
            self._deliver(task, signal.SIGSEGV)
        else:
            self._tracees.resume(task)

    def _deliver(self, task: Task, sig: int) -> None:
        """Let a task have a signal; its frame must find the stack writable."""
        if task.process.stage >= 2 and task.mm.has_frames():
            self._break_cow(task, self._frame_of(task, sig))
        self._tracees.resume(task, sig)

    def _frame_of(self, task: Task, sig: int) -> list[tuple[int, int]]:
        """Where the kernel is going to store what a handler returns to."""
        called, slot = tracee.syscall_of(task.tid), self._slot
        if called is None:
            return []
        questions = [
            (SYS_RT_SIGACTION, sig, 0, slot.buffer, 8, 0, 0),
            (SYS_SIGALTSTACK, 0, slot.buffer + 32, 0, 0, 0, 0),
        ]
        self._tracees.inject(task, questions)
        handler, action_flags, _, _, start, flags, size = struct.unpack("=4QQi4xQ", slot.get(56))
        if handler in (SIG_DFL, SIG_IGN):
            return []
        top = called[2] - RED_ZONE
        if action_flags & SA_ONSTACK and not flags & SS_DISABLE:
            is_on_it = start < called[2] <= start + size
            top = top if is_on_it else start + size
        return [(top - self._frame_size, self._frame_size)]
