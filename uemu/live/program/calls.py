"""What is done about the system calls that stop.

A handler makes its task go on, or parks it: nothing is left to the caller.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from typing import Final

from uemu import abi
from uemu.abi import page_range
from uemu.errors import Fault
from uemu.host import tracee
from uemu.host.tracee import Stop
from uemu.live.program.aio import Aio
from uemu.live.program.births import Births
from uemu.live.program.direct import FORMS, DirectIo
from uemu.live.program.filters import INTERRUPTED
from uemu.live.program.framing import Framing
from uemu.live.program.loader import Loader, NotLoaded
from uemu.live.program.mappings import Mappings
from uemu.live.program.outputs import writes_of
from uemu.live.program.pipes import Pipes
from uemu.live.program.placement import Placement
from uemu.live.program.remote import Remote
from uemu.live.program.request import Request
from uemu.live.program.schedule import Schedule
from uemu.live.program.segv_action import SIGSEGV, SegvAction
from uemu.live.program.tasks import Task
from uemu.live.program.tids import written_at_exit
from uemu.live.program.tracees import GONE, Tracees
from uemu.live.program.uring import Uring
from uemu.live.program.uring_register import Register
from uemu.live.program.uring_rings import Rings

Handler = Callable[[Task, Stop], None]

FUTEX_OPS: Final = 0x7F | 0x80
"""Which operation it is, and whether it is for threads of one process only.

Such a futex is known by its address. Source: futex(2), linux/futex.h.
"""

FUTEX_WAITS: Final = (0, 6, 9, 11, 13)
"""FUTEX_WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2, between processes."""


class Calls:
    """The handlers, by number."""

    def __init__(
        self,
        mappings: Mappings,
        tracees: Tracees,
        framing: Framing,
        births: Births,
        loader: Loader,
        schedule: Schedule,
        direct: DirectIo,
        aio: Aio,
        uring: Uring,
        rings: Rings,
        register: Register,
        pipes: Pipes,
        remote: Remote,
        placement: Placement,
        segv: SegvAction,
        note: Callable[[str], None],
    ) -> None:
        self._mappings = mappings
        self._tracees = tracees
        self._framing = framing
        self._births = births
        self._loader = loader
        self._schedule = schedule
        self._direct = direct
        self._aio = aio
        self._uring = uring
        self._rings = rings
        self._register = register
        self._pipes = pipes
        self._remote = remote
        self._placement = placement
        self._segv = segv
        self._note = note
        self._said: set[str] = set()
        self._at_entry: list[tuple[Task, Request]] = []
        self._handlers: dict[int, Handler] = {
            **dict.fromkeys(FORMS, self._on_transfer),
            **dict.fromkeys(
                (abi.SYS_OPEN, abi.SYS_OPENAT, abi.SYS_OPENAT2, abi.SYS_FCNTL), self._on_open
            ),
            **dict.fromkeys((abi.SYS_FORK, abi.SYS_CLONE, abi.SYS_CLONE3), self._on_fork),
            **dict.fromkeys(
                (
                    *(abi.SYS_MUNMAP, abi.SYS_MREMAP, abi.SYS_MPROTECT, abi.SYS_MMAP),
                    abi.SYS_PKEY_MPROTECT,
                ),
                self._mappings.change,
            ),
            abi.SYS_BRK: self._mappings.brk,
            abi.SYS_MADVISE: self._mappings.madvise,
            abi.SYS_PROCESS_MADVISE: self._mappings.process_madvise,
            abi.SYS_REMAP_FILE_PAGES: self._mappings.remap_file_pages,
            abi.SYS_SHMAT: self._mappings.shmat,
            abi.SYS_IO_URING_SETUP: self._on_io_uring_setup,
            abi.SYS_IO_URING_ENTER: uring.enter,
            abi.SYS_IO_URING_REGISTER: self._on_io_uring_register,
            **dict.fromkeys(
                (abi.SYS_CLOSE, abi.SYS_DUP2, abi.SYS_DUP3, abi.SYS_CLOSE_RANGE), self._on_close
            ),
            abi.SYS_VMSPLICE: self._on_vmsplice,
            abi.SYS_PROCESS_VM_READV: self._on_process_vm,
            abi.SYS_PROCESS_VM_WRITEV: self._on_process_vm,
            abi.SYS_PTRACE: self._on_ptrace,
            abi.SYS_SCHED_SETAFFINITY: self._on_affinity,
            abi.SYS_SCHED_GETAFFINITY: self._on_affinity,
            abi.SYS_RT_SIGACTION: self._on_sigaction,
            abi.SYS_EXIT: self._on_exit,
            abi.SYS_IO_SETUP: self._on_io_setup,
            abi.SYS_IO_DESTROY: aio.destroy,
            abi.SYS_IO_SUBMIT: aio.submit,
            abi.SYS_IO_CANCEL: aio.cancel,
            abi.SYS_IO_GETEVENTS: aio.getevents,
            abi.SYS_IO_PGETEVENTS: aio.getevents,
        }

    def on_call(self, task: Task, stop: Stop) -> None:
        """A task stands at the entry of a call."""
        if not task.mm.is_emulated:
            self._tracees.resume(task)
            return
        task.mm.waiting.pop(task, None)
        handler = self._handlers.get(stop.nr, self._on_other)
        handler(task, stop)

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._note(text)

    # Direct I/O ------------------------------------------------------------------------------

    def _on_open(self, task: Task, stop: Stop) -> None:
        """The first O_DIRECT of a process: from now on its I/O is looked at."""
        is_direct = stop.nr != abi.SYS_OPENAT2 or self._openat2_is_direct(task, stop)
        if is_direct and task.process.stage < 1:
            self._watch_direct(task)
        self._tracees.pass_call(task)

    def _openat2_is_direct(self, task: Task, stop: Stop) -> bool:
        try:
            flags = task.mm.memory.read(stop.args[2], 8)
        except OSError:
            return False
        return bool(int.from_bytes(flags, "little") & abi.O_DIRECT)

    def _watch_direct(self, task: Task) -> None:
        try:
            self._loader.raise_stage(self._tracees, task, 1)
        except NotLoaded as why:
            task.mm.is_emulated = False
            self._note(f"{task.mm.mm.name} runs without emulation: {why}")

    def _on_transfer(self, task: Task, stop: Stop) -> None:
        request = self._direct.request_of(task, stop.nr, stop.args)
        if request is None:
            self._on_other(task, stop)
            return
        task.parked = True
        if self._schedule.must_wait_at_entry(task.mm, request.buffers):
            self._at_entry.append((task, request))
            return
        self._submit(task, request)

    def _submit(self, task: Task, request: Request) -> None:
        def done(result: int) -> None:
            if self._tracees.tasks.get(task.tid) is task and task.parked:
                task.parked = False
                self._tracees.return_from_call(task, result)

        self._direct.submit(task, request, done, waits=True)

    @property
    def is_waiting(self) -> bool:
        """Whether anybody waits at entry."""
        return bool(self._at_entry)

    def look_at_entry(self) -> None:
        """Let those go on who waited for a fork, or for a transfer to be over."""
        for waiting in list(self._at_entry):
            task, request = waiting
            if self._tracees.tasks.get(task.tid) is not task:
                self._at_entry.remove(waiting)
                os.close(request.fd)
            elif not self._schedule.must_wait_at_entry(task.mm, request.buffers):
                self._at_entry.remove(waiting)
                # Of who died, the end is reported.
                with contextlib.suppress(*GONE):
                    self._submit(task, request)

    # Processes -------------------------------------------------------------------------------

    def _on_fork(self, task: Task, stop: Stop) -> None:
        if stop.nr == abi.SYS_CLONE and stop.args[0] & abi.CLONE_UNTRACED:
            self._say("CLONE_UNTRACED is not supported: such a clone is refused (EPERM)")
            self._tracees.return_from_call(task, -errno.EPERM)
            return
        if self._flags_of(task, stop) & abi.CLONE_VM:
            self._on_other(task, stop)
            return
        self._births.fork(task)
        self.look_at_entry()

    def _flags_of(self, task: Task, stop: Stop) -> int:
        """What clone(2) or clone3(2) is asked for; what cannot be read, the kernel refuses."""
        if stop.nr == abi.SYS_FORK:
            return 0
        if stop.nr == abi.SYS_CLONE:
            return stop.args[0]
        try:
            return int.from_bytes(task.mm.memory.read(stop.args[0], 8), "little")
        except OSError:
            return abi.CLONE_VM

    def _on_sigaction(self, task: Task, stop: Stop) -> None:
        """Of SIGSEGV the kernel may have been told something else."""
        sig, new, old, size = stop.args[:4]
        if sig & 0xFFFF_FFFF != SIGSEGV or size != 8 or task.process.on_segv is None:
            self._on_other(task, stop)
            return
        self.break_cow(task, writes_of(stop.nr, stop.args, task.mm.memory.read))
        self._tracees.return_from_call(task, self._segv.asked(task, new, old))

    def _on_exit(self, task: Task, stop: Stop) -> None:
        """A thread ends: others may wait for what the kernel writes then."""
        if task.mm.has_frames() and not task.leaves and len(task.mm.tasks) > 1:
            task.leaves = True
            self.break_cow(task, written_at_exit(self._tracees, self._loader.slot, task))
        self._tracees.pass_call(task)

    def _on_affinity(self, task: Task, stop: Stop) -> None:
        self._placement.let_go(stop.args[0] & 0xFFFF_FFFF or task.tid)
        self._on_other(task, stop)

    def _on_ptrace(self, task: Task, stop: Stop) -> None:
        self._say("ptrace is not supported inside: a program that traces others is refused (EPERM)")
        self._tracees.return_from_call(task, -errno.EPERM)

    # What is not emulated --------------------------------------------------------------------

    def _on_io_setup(self, task: Task, stop: Stop) -> None:
        if task.process.stage < 1:
            self._watch_direct(task)
        if task.mm.is_emulated:
            self._aio.setup(task, stop)
        else:
            self._tracees.pass_call(task)

    def _on_io_uring_setup(self, task: Task, stop: Stop) -> None:
        if task.process.stage < 1:
            self._watch_direct(task)
        if task.mm.is_emulated:
            self._uring.setup(task, stop)
        else:
            self._tracees.pass_call(task)

    def _on_io_uring_register(self, task: Task, stop: Stop) -> None:
        ring = self._rings.ring_of(task, stop.args[0])
        if ring is None:
            self._tracees.pass_call(task)
        else:
            self._register.register(task, stop, ring)

    def _on_close(self, task: Task, stop: Stop) -> None:
        if task.process.rings:
            self._rings.closes(task, stop)
        self._tracees.pass_call(task)

    def _on_vmsplice(self, task: Task, stop: Stop) -> None:
        if task.process.stage < 1:
            self._watch_direct(task)
        if task.mm.is_emulated:
            self._pipes.vmsplice(task, stop)
        else:
            self._tracees.pass_call(task)

    def _on_process_vm(self, task: Task, stop: Stop) -> None:
        self._remote.enters(task, stop)
        self._on_other(task, stop)

    def _on_other(self, task: Task, stop: Stop) -> None:
        """A call that may write user memory: the kernel finds its pages writable."""
        if task.process.stage >= 2 and task.mm.has_frames():
            nr = task.resumes if stop.nr == abi.SYS_RESTART_SYSCALL else stop.nr
            if nr == abi.SYS_FUTEX and stop.args[1] & FUTEX_OPS in FUTEX_WAITS:
                task.mm.waiting[task] = stop.args[0] & abi.PAGE_MASK
            ranges = writes_of(nr, stop.args, task.mm.memory.read)
            self.break_cow(task, ranges)
        returns = self._pipes.takes_out(task, stop) or stop.nr in INTERRUPTED
        self._tracees.pass_call(task, tracee.TO_RETURN if returns else tracee.CONT)

    def on_return(self, task: Task) -> None:
        """A call of INTERRUPTED is over: it is made again if only the tracer interrupted it.

        A signal that nobody handles is no reason either, but since a tracer wants to
        see it, it wakes somebody, while another thread takes it:

            waiter                      another thread
            epoll_wait
            SIGCHLD wakes it
                                        takes SIGCHLD, which is ignored
            EINTR
        """
        self._pipes.returned(task)
        self._tracees.excuse(task)
        self._uring.returned(task)
        self._tracees.resume(task)

    def break_cow(self, task: Task, ranges: list[tuple[int, int]]) -> None:
        """Break copy-on-write where the kernel is about to write for a task."""
        for addr, length in ranges:
            for base in page_range(addr, length) if task.mm.has_frames() else ():
                pte = self._framing.pte(task.mm, base)
                if pte is not None and not pte.write:
                    try:
                        self._framing.fault(task, base, write=True)
                    except Fault:
                        continue
                    self._schedule.wrote(task.mm, base, pte.pfn)
