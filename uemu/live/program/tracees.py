"""All tasks of a run: waiting for them, stopping them, calls made in them.

Only one thing is dealt with at a time, but anything may be reported at any
time. What comes while something else is awaited is kept and dealt with after.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from uemu.errors import HostError
from uemu.host import native, procfs, tracee
from uemu.host.syscalls import name_of
from uemu.host.tracee import Stop
from uemu.live.area import Slot
from uemu.live.program.tasks import ProgramMm, Task

DEAD_MS = 10
"""How long a task may take to stop before it is asked whether it is dead."""


class TaskGone(Exception):
    """The task that something was to be done in died meanwhile; nothing is wrong."""


GONE: Final = (TaskGone, ProcessLookupError, FileNotFoundError, PermissionError)
"""How it shows that a task died meanwhile: ptrace(2) and /proc say so in their ways.

Files in /proc belong to root once a process has no address space any more.
"""


class Tracees:
    """The tasks, and what they reported.

    Attributes:
        tasks: the living by tid.
        newborn: first reports of tasks whose parent has not told of them yet.
        ranges: where the calls of any task that change mappings are looked at.
    """

    def __init__(self, slot: Slot) -> None:
        self.tasks: dict[int, Task] = {}
        self.newborn: dict[int, Stop] = {}
        self.ranges = tracee.Ranges()
        self._slot = slot
        self._event = native.new_event()
        self._kept: deque[Stop] = deque()
        self._freezing = 0
        self._actor: Task | None = None
        self._later: list[tuple[Task, int, int]] = []

    # Waiting ---------------------------------------------------------------------------

    def next(self, timeout_ms: int | None) -> Stop | None:
        """The next report; None: nothing came in that time, or nobody is left."""
        if self._kept:
            return self._kept.popleft()
        wait_ms = -1 if timeout_ms is None else timeout_ms
        return self._take(tracee.next_report(self._event, self.ranges.struct, wait_ms))

    def _take(self, err: int) -> Stop | None:
        """The report that waiting has got, noted with its task."""
        event = self._event
        if err == -errno.ECHILD:
            # Somebody else reaped what is left.
            self.tasks.clear()
            return None
        if err or event.kind == native.NONE:
            return None
        stop = tracee.stop_of(event)
        task = self.tasks.get(stop.tid)
        if task is not None:
            task.stop = stop
            task.injected = False
            if stop.kind in (tracee.SECCOMP, tracee.RETURNS):
                task.again = False
        elif not (stop.kind == native.EVENT and stop.code == tracee.EVENT_EXEC):
            self.newborn[stop.tid] = stop
        return stop

    def await_stop(self, tid: int) -> Stop:
        """The next report of one task, if it was not kept before; others are kept.

        Raises:
            TaskGone: nobody is left.
        """
        for kept in self._kept:
            if kept.tid == tid:
                # Killed, while others were made to stop.
                self._kept.remove(kept)
                return kept
        while True:
            stop = self._take(native.wait(self._event, 0))
            if stop is None:
                raise TaskGone
            if stop.tid == tid:
                self.newborn.pop(tid, None)
                return stop
            self._keep_if_known(stop)

    def _keep_if_known(self, stop: Stop) -> None:
        if stop.tid not in self.newborn:
            self._kept.append(stop)

    def keep(self, stop: Stop) -> None:
        """Deal with a report later."""
        self._kept.append(stop)

    # Going on --------------------------------------------------------------------------

    def resume(self, task: Task, sig: int = 0, how: int = tracee.CONT) -> None:
        """Let a task go on; if it was killed meanwhile, its end will be reported.

        While others are frozen only the one that acts goes on at once.
        """
        if self._freezing and task is not self._actor:
            self._later.append((task, sig, how))
            return
        task.stop = None
        tracee.resume(task.tid, how, sig)

    def pass_call(self, task: Task, how: int = tracee.CONT) -> None:
        """Let the call go on that a task is about to make."""
        if task.injected:
            # It stops here once more, with nothing left to do.
            tracee.replay(task.tid)
            task.again, how = how == tracee.TO_RETURN, tracee.CONT
        self.resume(task, how=how)

    def return_from_call(self, task: Task, value: int) -> None:
        """The call that a task is about to make is over, with this value."""
        tracee.return_(task.tid, value)
        self.resume(task)

    def excuse(self, task: Task, sig: int = 0) -> None:
        """Let nothing be seen of an interruption by us, or by a signal that does nothing.

        One that does comes in the middle of the call, also where that was to be made again.
        """
        if sig and task.again:
            task.again = not tracee.not_again(task.tid, sig)
            if not task.again:
                self.has_entered(task)
        elif tracee.again_if_ignored(task.tid, sig) == 1:
            task.again = True

    def has_entered(self, task: Task) -> None:
        """A task's io_uring_enter is over: it returns what was submitted before it waited."""
        entered, task.entered = task.entered, None
        if entered is not None and entered.submitted:
            tracee.set_count(task.tid, entered.count)
            tracee.return_(task.tid, entered.submitted)

    # Stopping --------------------------------------------------------------------------

    def freeze(self, mms: Iterable[ProgramMm], but: Task | None) -> list[Task]:
        """Stop all tasks of these address spaces but one; who has to be thawed after.

        A task that waits in vfork runs nothing and cannot be stopped; nor can a
        leader that is dead before its threads are.
        """
        self._freezing += 1
        self._actor = but
        asked: dict[int, Task] = {}
        for mm in mms:
            for task in mm.tasks:
                if task is but or task.stop is not None or task.in_vfork or task.is_dead:
                    continue
                answer = tracee.stop(task.tid, self._event)
                if answer == 0:
                    asked[task.tid] = task
                elif answer > 0 and (stop := self._take(0)) is not None:
                    self._kept.append(stop)
        frozen = []
        while asked:
            err = tracee.next_report(self._event, tracee.ANY, DEAD_MS)
            stop = self._take(err)
            if stop is None:
                if err or not self._drop_the_dead(asked):
                    break
                continue
            task_or_none = asked.pop(stop.tid, None)
            if task_or_none is not None and stop.is_plain:
                task_or_none.held = True
                self.excuse(task_or_none)
                task_or_none.resumes = tracee.resumes(stop.tid) or task_or_none.resumes
                frozen.append(task_or_none)
                continue
            if stop.kind == native.EVENT and stop.code == tracee.EVENT_EXEC:
                # The other threads of its process are gone without a word.
                for tid in [t for t, task in asked.items() if self._is_with(task, stop)]:
                    del asked[tid]
            self._keep_if_known(stop)
        return frozen

    def _has_execed(self, task: Task) -> bool:
        """Whether another thread's exec has taken a leader's place, and is still to be told of."""
        return any(
            stop.tid == task.tid and stop.kind == native.EVENT and stop.code == tracee.EVENT_EXEC
            for stop in self._kept
        )

    def _drop_the_dead(self, asked: dict[int, Task]) -> bool:
        """Ask no leader that is dead before its threads are; whether anybody is still asked."""
        for tid in [tid for tid in asked if procfs.is_dead(tid)]:
            asked.pop(tid).is_dead = True
        return bool(asked)

    def _is_with(self, task: Task, stop: Stop) -> bool:
        return task.process.pid == stop.tid

    def thaw(self, frozen: list[Task]) -> None:
        """Let those go on that `freeze` stopped, and who was to go on meanwhile."""
        self._freezing = 0
        later, self._later = self._later, []
        for task, sig, how in [*((task, 0, tracee.CONT) for task in frozen if task.held), *later]:
            task.held = False
            if self.tasks.get(task.tid) is task and not self._has_execed(task):
                self.resume(task, sig, how)

    # Calls in a task -------------------------------------------------------------------

    def inject(self, task: Task, calls: Sequence[native.Call]) -> list[int]:
        """Let a stopped task make calls; what each returned, the last may be an error.

        Raises:
            TaskGone: it died on the way.
        """
        if self._has_execed(task):
            raise TaskGone
        slot, results = self._slot, []
        task.injected = True
        for start in range(0, len(calls), native.MAX_CALLS):
            batch = list(calls[start : start + native.MAX_CALLS])
            slot.queue(batch)
            err = tracee.inject(task.tid, slot.calls, self._event)
            if err:
                self._failed(task, err)
            made = len(batch) - slot.struct.count
            results += [slot.result(i) for i in range(min(made + 1, len(batch)))]
            if slot.struct.count:
                slot.struct.count = 0
                break
        return results

    def _failed(self, task: Task, err: int) -> None:
        stop = tracee.stop_of(self._event)
        if stop.kind == native.SEGV:
            raise HostError(
                f"make a system call in process {task.pid}",
                f"it faulted at {stop.addr:#x}",
                "It unmapped memory that uemu put into it.",
            )
        if stop.kind != native.NONE:
            self._kept.append(stop)
        raise TaskGone

    def must_inject(self, task: Task, calls: Sequence[native.Call]) -> None:
        """`inject` calls that change mappings, none of which may fail.

        Raises:
            HostError: one did; the program cannot go on as it should.
        """
        results = self.inject(task, calls)
        if results and results[-1] < 0 and results[-1] >= -4095:
            number = calls[len(results) - 1][0]
            raise HostError(
                f"change the mappings of process {task.pid}",
                f"{name_of(number)}: {errno.errorcode.get(-results[-1], results[-1])}",
                "Raise `sysctl vm.max_map_count` (and `ulimit -v`, if there is one).",
            )
