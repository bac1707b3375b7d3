"""Calls that change mappings: what they are about is the program's own again before.

What a device does there ends with that: it may be so fast. What it holds for
longer stays a frame, and its entries change as the policy's kernel would have it.

Not modelled: mremap of what is held so (ENOMEM); PROT_EXEC and protection keys for it;
    process_madvise of frames (EINVAL); shmat with SHM_REMAP of huge pages over the end
    of the segment's size.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from typing import Final

from uemu import abi
from uemu.abi import MADV_DONTNEED, MADV_WIPEONFORK
from uemu.host.tracee import Stop
from uemu.kernel import FORK_ADVICE, Kernel
from uemu.live.area import Slot
from uemu.live.program.framing import Framing
from uemu.live.program.outputs_rules import buffers
from uemu.live.program.runs import Run, gaps_of, runs_of
from uemu.live.program.schedule import Schedule
from uemu.live.program.tasks import Task
from uemu.live.program.tracees import Tracees
from uemu.step import run

PROTECTS: Final = (abi.SYS_MPROTECT, abi.SYS_PKEY_MPROTECT)

HINTS: Final = (abi.MADV_WILLNEED, abi.MADV_COLD, abi.MADV_PAGEOUT, abi.MADV_COLLAPSE)
"""Advice that leaves all bytes and mappings as they are, and may concern another process.

Linux: mm/madvise.c:process_madvise_remote_valid.
"""

IPC_STAT: Final = 2
SHM_SEGSZ_AT: Final = 48
"""Of struct shmid64_ds. Source: linux/shm.h, asm-generic/shmbuf.h."""


class Mappings:
    """The handlers; each makes its task go on."""

    def __init__(
        self,
        kernel: Kernel,
        tracees: Tracees,
        framing: Framing,
        schedule: Schedule,
        slot: Slot,
        note: Callable[[str], None],
    ) -> None:
        self._kernel = kernel
        self._tracees = tracees
        self._framing = framing
        self._schedule = schedule
        self._slot = slot
        self._note = note

    def change(self, task: Task, stop: Stop) -> None:
        """munmap, mremap, mprotect, mmap with MAP_FIXED: of memory that is the program's own."""
        addr, length = stop.args[0], stop.args[1]
        ranges = [(addr, length)]
        if stop.nr == abi.SYS_MREMAP and stop.args[3] & abi.MREMAP_FIXED:
            ranges.append((stop.args[4], stop.args[2]))
        self._with_own(
            task,
            [base for start, size in ranges for base in self._framed(task, start, size)],
            lambda held: self._change_held(task, stop, held),
            lambda: self._tracees.pass_call(task),
        )

    def shmat(self, task: Task, stop: Stop) -> None:
        """shmat(2) with SHM_REMAP: what was mapped there is replaced."""
        if not task.mm.has_frames():
            self._tracees.pass_call(task)
            return
        size = self._size_of_segment(task, stop.args[0])
        self._with_own(
            task,
            self._framed(task, stop.args[1], size),
            lambda held: self._change_held(task, stop, held),
            lambda: self._change_held(task, stop, []),
        )

    def _size_of_segment(self, task: Task, shmid: int) -> int:
        """In bytes; 0 if the task may not know it, and so not attach it either."""
        call = (abi.SYS_SHMCTL, shmid, IPC_STAT, self._slot.buffer, 0, 0, 0)
        (result,) = self._tracees.inject(task, [call])
        found = self._slot.get(SHM_SEGSZ_AT + 8)[SHM_SEGSZ_AT:]
        return 0 if result else int.from_bytes(found, "little")

    def remap_file_pages(self, task: Task, stop: Stop) -> None:
        """remap_file_pages(2) is for shared mappings only, which frames are not for the program.

        Linux: mm/mmap.c:SYSCALL remap_file_pages.
        """
        start, size = (word & abi.PAGE_MASK for word in stop.args[:2])
        if self._framed(task, start, size):
            self._tracees.return_from_call(task, -errno.EINVAL)
        else:
            self._tracees.pass_call(task)

    def _with_own(
        self,
        task: Task,
        bases: list[int],
        with_held: Callable[[list[int]], None],
        otherwise: Callable[[], None],
    ) -> None:
        """Give framed pages back, and do one thing if some are held on, or else another."""
        frozen = self._tracees.freeze([task.mm], task) if bases else []
        try:
            held = self._give_back(task, bases)
            if held:
                with_held(held)
                return
        finally:
            if bases:
                self._tracees.thaw(frozen)
        otherwise()

    def _give_back(self, task: Task, bases: list[int]) -> list[int]:
        """End transfers, and let pages be the program's own again; which are held on.

        Precondition: the other threads are stopped.
        """
        if not bases:
            return []
        self._schedule.drain(task.mm)
        pfns, places = self._kernel.io.in_use(task.mm.mm)
        held = []
        for base in bases:
            pte = self._framing.pte(task.mm, base)
            if base in places or (pte is not None and pte.pfn in pfns):
                held.append(base)
            elif pte is not None:
                # What is shared gets a copy of its own.
                self._framing.unframe(task, [base])
        return sorted(held)

    def _change_held(self, task: Task, stop: Stop, held: list[int]) -> None:
        """Make a call, and do what it does to pages that stay frames."""
        if stop.nr == abi.SYS_MREMAP:
            self._note("mremap of memory that is registered with io_uring or in a pipe is not"
                       " supported: it is refused (ENOMEM)")  # fmt: skip
            self._tracees.return_from_call(task, -errno.ENOMEM)
            return
        (result,) = self._tracees.inject(task, [(stop.nr, *_six(stop.args))])
        if not -4095 <= result < 0:
            for start, end in runs_of(held):
                if stop.nr in PROTECTS:
                    self._protect(task, start, end, stop.args[2])
                else:
                    self._unmap(task, start, end)
        self._tracees.return_from_call(task, result)

    def _protect(self, task: Task, start: int, end: int, prot: int) -> None:
        mm = task.mm
        run(self._kernel.mprotect(task.cpu, mm.mm, start, end - start, prot))
        self._framing.replace(mm, task, start, end)
        self._framing.watch_writers(mm, task)

    def _unmap(self, task: Task, start: int, end: int) -> None:
        run(self._kernel.munmap(task.cpu, task.mm.mm, start, end - start))
        self._framing.unmapped(task.mm, start, end)

    def brk(self, task: Task, stop: Stop) -> None:
        """The heap ends elsewhere: what it loses is its own again."""
        end = stop.args[0] + ~abi.PAGE_MASK & abi.PAGE_MASK
        if not end or not task.mm.mm.bases_in(end, abi.USER_END):
            self._tracees.pass_call(task)
            return
        old = self._brk(task, 0)
        self._with_own(
            task,
            self._framed(task, end, old - end),
            lambda held: self._shrink(task, stop.args[0], held),
            lambda: self._shrink(task, stop.args[0], []),
        )

    def _shrink(self, task: Task, end: int, held: list[int]) -> None:
        result = self._brk(task, end)
        for start, stop in runs_of(base for base in held if base >= result):
            self._unmap(task, start, stop)
        self._tracees.return_from_call(task, result)

    def _brk(self, task: Task, addr: int) -> int:
        """Let a task call brk(2); where its heap ends then."""
        return self._tracees.inject(task, [(abi.SYS_BRK, addr, 0, 0, 0, 0, 0)])[0]

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
                self._advise(task, gaps_of(framed, addr, end), advice)
                return
        else:
            self._with_own(
                task,
                self._framed(task, addr, length),
                lambda held: self._advise_held(task, held, addr, end, advice),
                lambda: self._tracees.pass_call(task),
            )
            return
        self._tracees.pass_call(task)

    def process_madvise(self, task: Task, stop: Stop) -> None:
        """process_madvise(2) of a task's own memory; of another's the kernel takes HINTS only."""
        iov, count, word = stop.args[1:4]
        advice = word & 0xFFFF_FFFF
        if advice in FORK_ADVICE:
            task.mm.has_fork_advice = True
        pieces = buffers(task.mm.memory.read, iov, count) if advice not in HINTS else []
        if any(self._framed(task, addr, length) for addr, length in pieces):
            self._note("process_madvise of memory that devices have had to do with is not supported"
                       " but for hints: it is refused (EINVAL), madvise is not")  # fmt: skip
            self._tracees.return_from_call(task, -errno.EINVAL)
        else:
            self._tracees.pass_call(task)

    def _advise_held(self, task: Task, held: list[int], addr: int, end: int, advice: int) -> None:
        """Of what a device holds only MADV_DONTNEED is heard: there is fresh memory then."""
        if advice == MADV_DONTNEED:
            for start, stop in runs_of(held):
                vmas = [vma.copy() for vma in task.mm.mm.vmas]
                run(self._kernel.munmap(task.cpu, task.mm.mm, start, stop - start))
                self._framing.renew(task, start, stop, vmas)
        self._advise(task, gaps_of(held, addr, end), advice)

    def _advise(self, task: Task, runs: Iterable[Run], advice: int) -> None:
        """Advise what is no frame: memory behind a hole, too, which is told of in the end.

        Linux: mm/madvise.c:madvise_walk_vmas.
        """
        # The kernel looks at the advice before it looks at the length.
        (result,) = self._tracees.inject(task, [(abi.SYS_MADVISE, 0, 0, advice, 0, 0, 0)])
        for start, end in runs if not result else ():
            call = (abi.SYS_MADVISE, start, end - start, advice, 0, 0, 0)
            answer = self._tracees.inject(task, [call])[0]
            result = answer or result
            if answer not in (0, -errno.ENOMEM):
                break
        self._tracees.return_from_call(task, result)


def _six(args: tuple[int, ...]) -> tuple[int, int, int, int, int, int]:
    a, b, c, d, e, f = args
    return a, b, c, d, e, f
