"""Random calls while random signals arrive: whatever happens is said, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Callable

import pytest

import uemu
from tests.live.processes import state

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.slow]

PAGE = uemu.PAGE_SIZE
FATAL = (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGTRAP)
HARMLESS = (signal.SIGSTOP, signal.SIGCONT, signal.SIGTSTP, signal.SIGCHLD, signal.SIGWINCH)
SIGNALS = (*FATAL, *HARMLESS * 8)
CALLS = 120


class Storm:
    """One machine and what is done to it, all of it chosen by a seed."""

    def __init__(self, machine: uemu.Machine, seed: int) -> None:
        self.machine = machine
        self.random = random.Random(seed)
        parent = machine.spawn()
        self.buf = parent.mmap(4 * PAGE)
        parent.store(self.buf, b"x" * 4 * PAGE)
        self.callers: list[uemu.Process | uemu.Thread] = [parent]
        self.pids = {parent.pid}
        self.reads: list[uemu.Transfer] = []

    def call(self) -> None:
        """Send a signal to somebody, now and then, and make a call."""
        if self.random.random() < 0.3:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.random.choice(sorted(self.pids)), self.random.choice(SIGNALS))
        caller = self.random.choice(self.callers)
        calls: list[Callable[[], object]] = [
            lambda: self.add(caller.fork()),
            lambda: self.borrow(caller),
            lambda: caller.spawn(["true"]),
            lambda: caller.store(self.buf + self.random.randrange(PAGE), b"y" * 5000),
            lambda: caller.load(self.buf, 5000),
            lambda: self.reads.append(
                self.machine.dma.start(caller, self.buf, 512, direction=uemu.DMA_FROM_DEVICE)
            ),
            lambda: self.reads and self.reads.pop().complete(b"D" * 512),
            lambda: caller.mremap(caller.mmap(PAGE), PAGE, 2 * PAGE),
            lambda: len(self.callers) > 3 and self.callers.pop().exit(),
        ]
        if isinstance(caller, uemu.Process):
            calls.append(lambda: self.callers.append(caller.thread()))
        with contextlib.suppress(uemu.ProcessDied):
            self.random.choice(calls)()

    def add(self, child: uemu.Process) -> None:
        """A process more."""
        self.callers.append(child)
        self.pids.add(child.pid)

    def borrow(self, caller: uemu.Process | uemu.Thread) -> None:
        """A child that shares its parent's memory for a while."""
        child = caller.vfork()
        self.pids.add(child.pid)
        child.store(self.buf, b"z" * 9)
        child.exit()


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_left_of_a_storm(seed: int) -> None:
    with uemu.Machine("linux-6.5" if seed % 2 else "linux-2.6.29") as machine:
        storm = Storm(machine, seed)
        for _ in range(CALLS):
            storm.call()
        machine.check()
        pids = storm.pids
    # A process whose parent died first is init's to reap.
    assert {state(pid) for pid in pids} <= {None, "Z"}
