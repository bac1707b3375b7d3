"""On which CPUs a program runs: on the tracer's own while it mostly waits for the tracer.

A stop and go costs several times more where it has to wake another CPU. A
program that stops all the time gains nothing from a second one: its tasks
are put beside the tracer until it stops seldom again. It does not see that: a
task that is asked for its CPUs, or given others, is let go first.
"""

from __future__ import annotations

import contextlib
import os
from time import monotonic, thread_time
from typing import Final

from uemu.host import native
from uemu.live.program.tasks import Task

LOOK_EVERY: Final = 256
"""How many stops are between two looks at the clock."""

BUSY: Final = 0.5
IDLE: Final = 0.2
"""The share of a CPU the tracer takes when tasks are put together, and when apart."""


class Placement:
    """Where the tasks of a run are.

    Attributes:
        together: whether all of them are on the tracer's CPU.
    """

    def __init__(self, tasks: dict[int, Task]) -> None:
        self._tasks = tasks
        self.together = False
        self._mine: set[int] = set()
        self._stops = 0
        self._since = monotonic()
        self._cpu_since = thread_time()

    def stopped(self) -> None:
        """Count a stop."""
        self._stops += 1
        if self._stops >= LOOK_EVERY:
            now, cpu = monotonic(), thread_time()
            share = (cpu - self._cpu_since) / max(now - self._since, 1e-6)
            self._stops, self._since, self._cpu_since = 0, now, cpu
            if share > BUSY and not self.together:
                self._gather()
            elif share < IDLE and self.together:
                self.scatter()

    def _gather(self) -> None:
        # Without the right to choose a CPU it is slower, not wrong.
        with contextlib.suppress(OSError):
            self._mine = os.sched_getaffinity(0)
            here = {native.cpu()}
            os.sched_setaffinity(0, here)
            self.together = True
            for task in self._tasks.values():
                # Below stage 1 nobody would notice that it asks.
                if task.process.stage >= 1:
                    with contextlib.suppress(OSError):
                        cpus = os.sched_getaffinity(task.tid)
                        os.sched_setaffinity(task.tid, here)
                        task.cpus = cpus

    def scatter(self) -> None:
        """Let every task run where it wants to."""
        if not self.together:
            return
        self.together = False
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, self._mine)
        for tid in self._tasks:
            self.let_go(tid)

    def let_go(self, tid: int) -> None:
        """Let one task run where it wants to, from now on."""
        task = self._tasks.get(tid)
        if task is not None and task.cpus is not None:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(tid, task.cpus)
            task.cpus = None
