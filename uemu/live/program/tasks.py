"""Who is traced: tasks, processes and address spaces of real programs, as records.

A task is what Linux calls one: a thread. Tasks share an address space by
CLONE_VM, be it as threads or between vfork and exec.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from uemu.host.procfs import ProcessMemory
from uemu.host.tracee import Stop
from uemu.live.program.origins import Origins
from uemu.live.program.uring_ring import Entered, Ring
from uemu.mm.mm_struct import MmStruct
from uemu.step import Cpu


@dataclass(eq=False, repr=False, slots=True)
class ProgramMm:
    """A real address space and the emulated one that stands for its framed pages.

    Attributes:
        mm: the emulated one: it knows framed pages only.
        memory: the real one.
        tasks: who runs in it.
        waiting: those of them whose last call was to wait at a futex that is known
            by its page, and where: page addresses.
        family: a number that all have in common who came from it by fork.
        is_emulated: false if it could not be prepared, and so runs natively.
        nr_children: how many were forked from it.
        origins: what its framed pages were part of before.
        has_fork_advice: whether it ever used MADV_DONTFORK or WIPEONFORK.
        has_pinned: whether a device ever held a page of it.
    """

    mm: MmStruct
    memory: ProcessMemory
    family: int
    is_emulated: bool = True
    has_fork_advice: bool = False
    has_pinned: bool = False
    nr_children: int = 0
    origins: Origins = field(default_factory=Origins)
    tasks: list[Task] = field(default_factory=list)
    waiting: dict[Task, int] = field(default_factory=dict)

    def has_frames(self) -> bool:
        """Whether any page of it is framed."""
        return bool(self.mm.vmas)


@dataclass(eq=False, repr=False, slots=True)
class ProgramProcess:
    """A thread group.

    Attributes:
        pid: its id.
        stage: how many of the seccomp filters it has, minus one; -1: none.
        on_segv: what it asks rt_sigaction(2) to do at SIGSEGV, as the kernel's struct,
            if that differs from what the kernel was told; see `segv_action`.
        tasks: its threads by tid.
        rings: its io_urings by descriptor.
        closes: whether it stops where it may close one.
    """

    pid: int
    stage: int = -1
    on_segv: bytes | None = None
    rings: dict[int, Ring] = field(default_factory=dict)
    closes: bool = False
    tasks: dict[int, Task] = field(default_factory=dict)


@dataclass(eq=False, repr=False, slots=True)
class Task:
    """A thread.

    Attributes:
        tid: its id.
        process, mm: what it belongs to and runs in.
        cpu: where its kernel code runs in the emulated kernel.
        stop: the report it is stopped at, or None while it runs.
        held: stopped by `Tracees.freeze` and by nothing else.
        parked: stopped until something is over that it waits for.
        in_vfork: it waits in the kernel for its vfork child.
        is_dead: it is, and its end is reported when its threads have ended, too.
        cpus: where it wants to run, while `Placement` has it elsewhere.
        again: it is to make a call again that was interrupted for nothing.
        injected: calls were made in it since its last stop.
        leaves: it is in exit(2), of which others have been told.
        resumes: the number of the call that restart_syscall goes on with in it.
        entered: the io_uring_enter that it waits in.
    """

    tid: int
    process: ProgramProcess
    mm: ProgramMm
    cpu: Cpu
    stop: Stop | None = None
    held: bool = False
    parked: bool = False
    in_vfork: bool = False
    again: bool = False
    injected: bool = False
    leaves: bool = False
    resumes: int = 0
    is_dead: bool = False
    cpus: set[int] | None = None
    entered: Entered | None = None

    @property
    def pid(self) -> int:
        """Its process's id."""
        return self.process.pid
