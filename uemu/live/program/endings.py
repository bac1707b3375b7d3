"""How tasks of programs end, their address spaces with them, and whom nobody told of.

When the last of them is gone nothing may be left: no process, transfer or frame.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from uemu.host import native, procfs, tracee
from uemu.host.tracee import Stop
from uemu.kernel import Kernel
from uemu.live.program.framing import Framing
from uemu.live.program.schedule import Schedule
from uemu.live.program.tasks import ProgramMm, Task
from uemu.live.program.tracees import Tracees
from uemu.step import Cpu, run


class Endings:
    """Gives back what the ended had.

    Attributes:
        root: the first process's id.
        ending: how it ended: (status, signal), one of them None.
    """

    def __init__(
        self,
        kernel: Kernel,
        tracees: Tracees,
        framing: Framing,
        schedule: Schedule,
        before_mm_ends: Callable[[ProgramMm], None],
        left: Callable[[Task], None],
        gone: Callable[[], None],
    ) -> None:
        self._kernel = kernel
        self._tracees = tracees
        self._framing = framing
        self._schedule = schedule
        self.root = 0
        self._before_mm_ends = before_mm_ends
        self._left = left
        self._gone = gone
        self.ending: tuple[int | None, int | None] | None = None

    def on_end(self, task: Task, stop: Stop) -> None:
        """A task is gone."""
        tracees, process, mm = self._tracees, task.process, task.mm
        tracees.tasks.pop(task.tid, None)
        process.tasks.pop(task.tid, None)
        if task in mm.tasks:
            mm.tasks.remove(task)
        mm.waiting.pop(task, None)
        self._left(task)
        if task.tid == self.root:
            killed = stop.kind == native.KILLED
            self.ending = (None, stop.code) if killed else (stop.code, None)
        if task in self._schedule.born:
            self._schedule.born.remove(task)
        if not mm.tasks:
            self.end_mm(mm)
        if not process.tasks and process.rings:
            self._gone()
        if tracees.newborn:
            self.end_orphans()

    def end_mm(self, mm: ProgramMm) -> None:
        """Nobody runs in an address space any more."""
        if mm not in self._framing.mms:
            return
        self._framing.forget(mm)
        try:
            self._schedule.drain(mm)
            self._before_mm_ends(mm)
        finally:
            # Whoever died while others were told of it: these pages are free.
            run(self._kernel.exit_mm(Cpu("exit"), mm.mm))
            mm.memory.close()
        self._schedule.mm_gone(mm)

    def end_all(self) -> None:
        """Nobody is left: end what the kernel did not tell us the end of."""
        for mm in list(self._framing.mms):
            self.end_mm(mm)

    def end_orphans(self, tid: int = 0) -> None:
        """Kill newborns that nobody is going to tell of: their parent was killed meanwhile.

        On a kernel without a tracer they would live.

        Args:
            tid: such a one that its parent could still name; 0: none.
        """
        parents = {os.getpid(), *(task.pid for task in self._tracees.tasks.values())}
        for newborn, stop in self._tracees.newborn.items():
            if not stop.is_end and (newborn == tid or procfs.parent_of(newborn) not in parents):
                native.kill(newborn)

    def reap_orphans(self) -> None:
        """Wait for the end of those; all others are gone."""
        newborn = self._tracees.newborn
        while any(not stop.is_end for stop in newborn.values()):
            self.end_orphans()
            if self._tracees.next(None) is None:
                return
        newborn.clear()

    def kill_all(self) -> None:
        """SIGKILL for everybody, and wait until they are gone."""
        for process in {task.process.pid for task in self._tracees.tasks.values()}:
            native.kill(process)
        for tid in list(self._tracees.newborn):
            native.kill(tid)
        while self._tracees.tasks:
            stop = self._tracees.next(None)
            if stop is None:
                return
            task = self._tracees.tasks.get(stop.tid)
            if task is not None and stop.is_end:
                self.on_end(task, stop)
            elif stop.is_end:
                continue
            else:
                native.kill(stop.tid)
                tracee.resume(stop.tid, tracee.CONT, signal.SIGKILL)
