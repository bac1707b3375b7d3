"""What SIGSEGV does in a process whose faults are ours to use.

A store to a frame that is write-protected raises a SIGSEGV of which the program
shall know nothing. But before the tracer is asked, the kernel has looked at what
the program does about it: where that signal is blocked or ignored, it unblocks it
and resets its action to SIG_DFL, so that the program dies for sure. That is to be
undone, and cannot be told from an action that was SIG_DFL all along.

Therefore a process with protected pages never has SIG_DFL or SIG_IGN for SIGSEGV:
a marker stands for them, a handler that never runs. If it, or the program's own
handler, is still there after a fault, nothing was reset; if SIG_DFL is, the signal
was blocked. What the program asked for is done at the stop for the signal, which
always comes first, and said when the program asks.

Not modelled: that two threads, of which one blocks it, have faults of ours at the same
time: the wrong one may be taken for the one that does; CLONE_SIGHAND without CLONE_THREAD.

Source: sigaction(2); Linux: kernel/signal.c:force_sig_info_to_task.
"""

from __future__ import annotations

import signal
import struct
from typing import Final

from uemu.abi import SYS_RT_SIGACTION
from uemu.host import tracee
from uemu.live.area import Slot
from uemu.live.program.tasks import Task
from uemu.live.program.tracees import Tracees
from uemu.live.program.window import CONTROL_BASE

SIGSEGV: Final = int(signal.SIGSEGV)
SIG_DFL, SIG_IGN = 0, 1
SA_RESTORER: Final = 0x0400_0000

SIZE: Final = 32
"""Bytes of the kernel's struct sigaction: handler, flags, restorer, mask."""

MARKER: Final = struct.pack("=4Q", CONTROL_BASE, SA_RESTORER, CONTROL_BASE, 0)
"""Not to be run: its address can be told from any of the program's."""


def handler_of(action: bytes) -> int:
    """The handler's address, or SIG_DFL or SIG_IGN."""
    return int.from_bytes(action[:8], "little")


class SegvAction:
    """Keeps what programs ask of SIGSEGV, and what the kernel is told."""

    def __init__(self, tracees: Tracees, slot: Slot) -> None:
        self._tracees = tracees
        self._slot = slot

    def _call(self, task: Task, new: int, old: int) -> int:
        call = (SYS_RT_SIGACTION, SIGSEGV, new, old, 8, 0, 0)
        return self._tracees.inject(task, [call])[0]

    def _set(self, task: Task, action: bytes) -> None:
        self._slot.put(action)
        self._call(task, self._slot.buffer, 0)

    def _get(self, task: Task) -> bytes:
        self._call(task, 0, self._slot.buffer)
        return self._slot.get(SIZE)

    def mark(self, task: Task) -> None:
        """A process is about to have protected pages; ``task`` is one of its threads, stopped."""
        if task.process.on_segv is None:
            self._keep(task)

    def _keep(self, task: Task) -> None:
        """Remember what is asked for, and put the marker where it cannot stay."""
        task.process.on_segv = wanted = self._get(task)
        if handler_of(wanted) in (SIG_DFL, SIG_IGN):
            self._set(task, MARKER)

    def asked(self, task: Task, new: int, old: int) -> int:
        """The program calls rt_sigaction(2) for SIGSEGV; what that returns.

        Precondition: its process is marked, and what the call writes is writable.
        """
        assert task.process.on_segv is not None
        self._set(task, task.process.on_segv)
        result = self._call(task, new, old)
        self._keep(task)
        return result

    def restore(self, task: Task) -> None:
        """Undo what the kernel did to a process where a task had a fault of ours."""
        wanted = task.process.on_segv
        if wanted is None or handler_of(self._get(task)) != SIG_DFL:
            return
        self._set(task, MARKER if handler_of(wanted) in (SIG_DFL, SIG_IGN) else wanted)
        tracee.block(task.tid, SIGSEGV)

    def delivers(self, task: Task, *, forced: bool) -> bool:
        """Prepare a process for a SIGSEGV of its own; false: it ignores that.

        Args:
            forced: it is a fault, which cannot be ignored.
        """
        wanted = task.process.on_segv
        if wanted is None or handler_of(wanted) not in (SIG_DFL, SIG_IGN):
            return True
        if handler_of(wanted) == SIG_IGN and not forced:
            self._tracees.excuse(task)
            return False
        self._set(task, bytes(SIZE))
        return True

    def after_exec(self, task: Task) -> None:
        """exec resets handlers, and the marker with them, but leaves a signal ignored."""
        action, task.process.on_segv = task.process.on_segv, None
        if action is not None and handler_of(action) == SIG_IGN:
            self._set(task, action)
