"""What waiting tells: who stopped and why, who was born, who died.

Only one thing runs at a time, but anything may be reported at any time: a
newborn child before its parent's fork, a puppet that somebody killed. What
nobody waits for is dealt with as it comes.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable

from uemu.errors import Blocked, ProcessDied
from uemu.host import native
from uemu.live.puppet import PuppetProcess, PuppetThread


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Reports:
    """Everybody the tracer knows, and the news of them.

    Attributes:
        processes: the living, by pid.
        threads: theirs, by tid.
        born: who a fork or clone under way has announced.
        newborn: who stands at its birth, not yet asked for.
        stillborn: who died before anybody asked for it.
        event: where the last report is.
    """

    def __init__(self, on_death: Callable[[PuppetProcess], None]) -> None:
        self.processes: dict[int, PuppetProcess] = {}
        self.threads: dict[int, PuppetThread] = {}
        self.born: set[int] = set()
        self.newborn: set[int] = set()
        self.stillborn: set[int] = set()
        self.event = native.new_event()
        self._on_death = on_death

    def enter(self, process: PuppetProcess) -> None:
        """Know a process from now on."""
        self.processes[process.pid] = process

    def enter_thread(self, thread: PuppetThread) -> None:
        """Know a thread of a known process from now on."""
        thread.process.threads[thread.tid] = self.threads[thread.tid] = thread

    def died(self, thread: PuppetThread, during: str) -> ProcessDied:
        """The error for a thread whose process is ending, once it has ended."""
        process = thread.process
        while process.death is None:
            self.take(self.event, self.wait())
        return ProcessDied(process.pid, process.death, during)

    def wait(self) -> int:
        """Wait for the next report; nobody left to wait for means that all are gone."""
        err = native.wait(self.event, 0)
        if err == -errno.ECHILD:
            for process in list(self.processes.values()):
                self.bury(process, "vanished")
        return err

    def settle(self, thread: PuppetThread, err: int, during: str) -> native.Event:
        """The report about ``thread`` that the last resumption led to.

        Reports about others that come first are dealt with.

        Raises:
            ProcessDied: the process is gone.
        """
        event = self.event
        while True:
            if err == -errno.ESRCH and not os.path.exists(f"/proc/{thread.tid}"):
                self.bury(thread.process, "was reaped by another part of this program")
            if err == 0 and event.tid == thread.tid:
                if event.kind in (native.TRAP, native.SEGV) or (
                    event.kind == native.EVENT and event.code != native.EVENT_STOP
                ):
                    return event
                if event.kind == native.SIGNAL:
                    err = native.go(thread.tid, 0, event.code, event)
                    continue
                if event.kind == native.EVENT:
                    err = native.go(thread.tid, 0, 0, event)
                    continue
            self.take(event, err)
            if thread.process.death is not None or thread.tid not in self.threads:
                raise self.died(thread, during)
            err = self.wait()

    def take(self, event: native.Event, err: int) -> None:
        """Deal with a report that nobody waits for."""
        if err:
            return
        thread = self.threads.get(event.tid)
        if event.kind in (native.EXITED, native.KILLED):
            if thread is None:
                self.stillborn.add(event.tid)
                return
            how = f"exited with status {event.code}"
            if event.kind == native.KILLED:
                how = f"was killed by {_signal_name(event.code)}"
            thread.process.status = event.code if event.kind == native.EXITED else -event.code
            if event.kind == native.KILLED:
                thread.process.is_dying = True
            if event.tid == thread.process.pid:
                self.bury(thread.process, how)
            else:
                self._forget_thread(thread)
        elif thread is None and event.kind == native.EVENT:
            self.newborn.add(event.tid)
        elif thread is not None and event.kind == native.EVENT:
            # A group stop, or a stop that somebody else's SIGCONT ended.
            native.cont(event.tid, 0, 0)
        elif thread is not None and event.kind == native.TRAP:
            thread.in_vfork = None
        elif thread is not None and event.kind == native.SIGNAL:
            native.cont(event.tid, 0, event.code)

    def reap(self) -> None:
        """Notice processes that died while nothing ran."""
        while self.threads and native.wait(self.event, 1) == 0:
            if self.event.kind == native.NONE:
                return
            self.take(self.event, 0)

    def _forget_thread(self, thread: PuppetThread) -> None:
        del self.threads[thread.tid]
        del thread.process.threads[thread.tid]
        thread.process.area.give_back(thread.slot)

    def bury(self, process: PuppetProcess, how: str) -> None:
        """A process is gone, and whoever needs to know is told."""
        if process.death is not None:
            return
        process.death = how
        for thread in list(process.threads.values()):
            self.threads.pop(thread.tid, None)
        del self.processes[process.pid]
        self._on_death(process)

    def check_alive(self, thread: PuppetThread) -> None:
        """Raise unless the thread can be run now.

        Raises:
            ProcessDied: it is gone.
            Blocked: it waits in vfork for a child that lives.
        """
        self.reap()
        process = thread.process
        if process.death is not None:
            raise ProcessDied(process.pid, process.death, "an earlier call")
        if process.is_dying:
            raise self.died(thread, "an earlier call")
        if thread.tid not in process.threads:
            raise ProcessDied(process.pid, f"lost its thread {thread.tid}", "an earlier call")
        if thread.in_vfork is not None and thread.in_vfork.death is None:
            raise Blocked("a call", f"vfork: its child {thread.in_vfork.pid} has not ended")
        self.await_vfork(thread)
        if process.is_gone():
            raise self.died(thread, "vfork")

    def await_vfork(self, thread: PuppetThread) -> None:
        """Let a thread come out of vfork, whose child is gone."""
        while thread.in_vfork is not None and thread.process.death is None:
            self.take(self.event, self.wait())
