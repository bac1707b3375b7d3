"""Calls that change mappings: what they are about is the program's own again before.

What a device does there ends with that. It may be so fast.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable

from uemu import abi
from uemu.abi import MADV_WIPEONFORK
from uemu.host.tracee import Stop
from uemu.kernel import FORK_ADVICE, Kernel
from uemu.live.program.framing import Framing
from uemu.live.program.runs import Run, gaps_of
from uemu.live.program.schedule import Schedule
from uemu.live.program.tasks import Task
from uemu.live.program.tracees import Tracees


class Mappings:
    """The handlers; each makes its task go on."""

    def __init__(
        self, kernel: Kernel, tracees: Tracees, framing: Framing, schedule: Schedule
    ) -> None:
        self._kernel = kernel
        self._tracees = tracees
        self._framing = framing
        self._schedule = schedule

    def change(self, task: Task, stop: Stop) -> None:
        """munmap, mremap, mprotect, mmap with MAP_FIXED: of memory that is the program's own."""
        addr, length = stop.args[0], stop.args[1]
        ranges = [(addr, length)]
        if stop.nr == abi.SYS_MREMAP and stop.args[3] & abi.MREMAP_FIXED:
            ranges.append((stop.args[4], stop.args[2]))
        self.give_back(task, ranges)
        self._tracees.pass_call(task)

    def brk(self, task: Task, stop: Stop) -> None:
        """The heap ends elsewhere: what it loses is its own again."""
        end = stop.args[0] + ~abi.PAGE_MASK & abi.PAGE_MASK
        if not end or not task.mm.mm.bases_in(end, abi.USER_END):
            self._tracees.pass_call(task)
            return
        old = self._brk(task, 0)
        self.give_back(task, [(end, old - end)])
        self._tracees.return_from_call(task, self._brk(task, stop.args[0]))

    def _brk(self, task: Task, addr: int) -> int:
        """Let a task call brk(2); where its heap ends then."""
        return self._tracees.inject(task, [(abi.SYS_BRK, addr, 0, 0, 0, 0, 0)])[0]

    def give_back(self, task: Task, ranges: list[tuple[int, int]]) -> None:
        """End what devices do there, and let the pages be the program's own again."""
        bases = [base for addr, length in ranges for base in self._framed(task, addr, length)]
        if not bases:
            return
        frozen = self._tracees.freeze([task.mm], task)
        try:
            self._schedule.drain(task.mm)
            for base in bases:
                # What is shared gets a copy of its own.
                pte = self._framing.pte(task.mm, base)
                if pte is not None:
                    self._framing.unframe(task, [base])
        finally:
            self._tracees.thaw(frozen)

    def _framed(self, task: Task, addr: int, length: int) -> list[int]:
        mm = task.mm.mm
        if not mm.vmas or length <= 0:
            return []
        return mm.bases_in(addr & abi.PAGE_MASK, addr + length)

    def madvise(self, task: Task, stop: Stop) -> None:
        """Advice about forks leaves pages what they are, other advice does not."""
        addr, length, advice = stop.args[:3]
        end = addr + length + ~abi.PAGE_MASK & abi.PAGE_MASK
        if addr & ~abi.PAGE_MASK or end > abi.USER_END:
            pass  # What the kernel refuses, at the latest where memory ends.
        elif advice in FORK_ADVICE:
            task.mm.has_fork_advice = True
            framed = self._framed(task, addr, length)
            for base in framed:
                self._kernel.advised(task.mm.mm, base, base + abi.PAGE_SIZE, advice)
            if framed and advice == MADV_WIPEONFORK:
                self._wipe_on_fork(task, gaps_of(framed, addr, end))
                return
        else:
            self.give_back(task, [(addr, length)])
        self._tracees.pass_call(task)

    def _wipe_on_fork(self, task: Task, runs: Iterable[Run]) -> None:
        """Advise what is no frame: the kernel wants anonymous memory for that.

        It goes on behind a hole, which it tells of in the end. Linux:
        mm/madvise.c:madvise_walk_vmas.
        """
        result = 0
        for start, end in runs:
            call = (abi.SYS_MADVISE, start, end - start, MADV_WIPEONFORK, 0, 0, 0)
            answer = self._tracees.inject(task, [call])[0]
            result = answer or result
            if answer not in (0, -errno.ENOMEM):
                break
        self._tracees.return_from_call(task, result)
