"""How tasks of programs begin: the first one, clone in its forms, exec.

A fork of a process that may have framed pages is one transaction: its other
threads are stopped, the policy decides page by page, the real fork is made,
and the child's mappings are put right before it runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from uemu.abi import (
    CLONE_CLEAR_SIGHAND,
    CLONE_FILES,
    CLONE_THREAD,
    CLONE_VFORK,
    CLONE_VM,
    SYS_CLONE3,
)
from uemu.host import native, procfs, tracee
from uemu.host.tracee import Stop
from uemu.kernel import Kernel
from uemu.live.program.endings import Endings
from uemu.live.program.framing import Framing
from uemu.live.program.loader import Loader, NotLoaded
from uemu.live.program.result import Stats
from uemu.live.program.schedule import Schedule
from uemu.live.program.segv_action import SegvAction
from uemu.live.program.tasks import ProgramMm, ProgramProcess, Task
from uemu.live.program.tids import child_tid_at, tell_its_tid
from uemu.live.program.tracees import GONE, TaskGone, Tracees
from uemu.live.program.window import WindowMmu
from uemu.mm.mm_struct import MmStruct
from uemu.mm.vma import Vm
from uemu.step import Cpu, run

SYS_VFORK = 58

BIRTHS = (tracee.EVENT_FORK, tracee.EVENT_VFORK, tracee.EVENT_CLONE)

THREADED_FORK = (
    "{} has threads and has let devices into its memory, and forks{}: what is in flight then is"
    " harmed or not as the kernel's version and chance have it. To run another program take"
    " posix_spawn(3), or vfork(2) and execve(2), which share no page; else madvise(MADV_DONTFORK)"
    " the buffers, or fork before there are threads"
)
"""L. Torvalds, 2009-03-11 22:06: "warn about it once. Maybe people would realize what a
stupid thing they are doing, and that there is a simple fix (vfork)."
"""


class Births:
    """Keeps the records as the real processes are.

    Attributes:
        pids: address space to process id; tids: CPU name to thread id.
    """

    def __init__(
        self,
        kernel: Kernel,
        mmu: WindowMmu,
        tracees: Tracees,
        framing: Framing,
        loader: Loader,
        schedule: Schedule,
        endings: Endings,
        segv: SegvAction,
        stats: Stats,
        note: Callable[[str], None],
        execed: Callable[[Task], None],
        where: Callable[[str], str],
    ) -> None:
        self._kernel = kernel
        self._mmu = mmu
        self._tracees = tracees
        self._framing = framing
        self._loader = loader
        self._schedule = schedule
        self._endings = endings
        self._segv = segv
        self._stats = stats
        self._note = note
        self._where = where
        self._warned: set[str] = set()
        self._execed = execed
        self._families = 0
        self.pids: dict[int, int] = {}
        self.tids: dict[str, int] = {}

    # Beginnings ------------------------------------------------------------------------------

    def begin(self, pid: int) -> None:
        """Take the first process over, which stands before its first instruction."""
        self._endings.root = pid
        process = ProgramProcess(pid)
        task = self._enter(pid, process, self._new_mm(pid))
        self._load(task)
        self._tracees.resume(task)

    def _new_mm(self, pid: int) -> ProgramMm:
        mm = self._kernel.mm_create(self._name(pid))
        self._families += 1
        return self._known(ProgramMm(mm, procfs.ProcessMemory(pid), self._families), pid)

    def _name(self, pid: int) -> str:
        return f"{procfs.name_of_process(pid)}[{pid}]"

    def _known(self, mm: ProgramMm, pid: int) -> ProgramMm:
        self._framing.note(mm)
        self.pids[mm.mm.id] = pid
        return mm

    def _enter(
        self, tid: int, process: ProgramProcess, mm: ProgramMm, parent: Task | None = None
    ) -> Task:
        task = Task(tid, process, mm, Cpu(f"tid {tid}"))
        if parent is not None:
            task.cpus = parent.cpus
        self.tids[task.cpu.name] = tid
        process.tasks[tid] = self._tracees.tasks[tid] = task
        mm.tasks.append(task)
        return task

    def _load(self, task: Task) -> None:
        mm = task.mm
        try:
            self._loader.load(task.tid)
            self._loader.raise_stage(self._tracees, task, 0)
        except NotLoaded as why:
            mm.is_emulated = False
            self._note(f"{mm.mm.name} runs without emulation: {why}")
        except TaskGone:
            pass

    # fork ------------------------------------------------------------------------------------

    def fork(self, task: Task) -> None:
        """A task that stands at a call of the fork family, without CLONE_VM, makes it."""
        tracees, mm = self._tracees, task.mm
        if mm.has_pinned and len(task.process.tasks) > 1:
            self._warn(task)
        frozen = tracees.freeze([mm], task)
        # Whoever makes calls for us has to make its own once more: better another.
        actor = next((other for other in frozen if other.held), task)
        try:
            self._fork(task, actor)
        finally:
            tracees.thaw(frozen)

    def _warn(self, task: Task) -> None:
        name = procfs.name_of_process(task.pid)
        if name not in self._warned:
            self._warned.add(name)
            self._note(THREADED_FORK.format(name, self._where(task.cpu.name)))

    def _fork(self, task: Task, actor: Task) -> None:
        tracees, mm, framing = self._tracees, task.mm, self._framing
        child_tid = child_tid_at(task, task.stop, framing)
        before = mm.memory.read(child_tid, 4) if child_tid else b""
        framing.unframe(actor, framing.idle(mm))
        child_mm = (
            run(self._kernel.fork(task.cpu, mm.mm, _next_child(mm))) if mm.has_frames() else None
        )
        pid = 0
        try:
            if child_mm is not None:
                framing.watch_writers(mm, actor)
            framing.sync(mm, actor)
            stop = self._real_fork(task)
            pid = stop.msg if is_birth(stop) else 0
        finally:
            # It failed, or it died, or a signal came first and it will be made again.
            if child_mm is not None and not pid:
                run(self._kernel.exit_mm(task.cpu, child_mm))
        if not pid:
            tracees.keep(stop)
            return
        task.in_vfork = stop.code == tracee.EVENT_VFORK
        if child_mm is None:
            child_mm = self._kernel.mm_create(_next_child(mm))
        else:
            self._mmu.forked(mm.mm.id, child_mm.id)
        child = self._enter_child(pid, task, child_mm, self._clone_flags(task) or 0)
        try:
            self._settle(child, task)
            tell_its_tid(task, child, framing, child_tid, before)
        except GONE:
            # The child, which is reported.
            self._go_on_after_birth(task)
            return
        self._go_on_after_birth(task)
        if not self._schedule.forked(mm, child):
            tracees.resume(child)
        else:
            child.parked = True

    def _real_fork(self, task: Task) -> Stop:
        """Let a task make the call that it stands at; what it says of it."""
        tracees, again = self._tracees, task.injected
        tracees.pass_call(task) if again else tracees.resume(task, how=tracee.TO_RETURN)
        stop = tracees.await_stop(task.tid)
        if again and stop.kind == tracee.SECCOMP:
            tracees.resume(task, how=tracee.TO_RETURN)
            stop = tracees.await_stop(task.tid)
        return stop

    def _go_on_after_birth(self, task: Task) -> None:
        self._tracees.resume(task)

    def _enter_child(self, pid: int, parent: Task, child_mm: MmStruct, flags: int) -> Task:
        src = parent.mm
        mm = ProgramMm(
            child_mm,
            procfs.ProcessMemory(pid),
            src.family,
            src.is_emulated,
            src.has_fork_advice,
            origins=src.origins.copy(),
        )
        process = _child_process(pid, parent.process, flags)
        self._stats.forks += 1
        return self._enter(pid, process, self._known(mm, pid), parent)

    def _settle(self, child: Task, parent: Task) -> None:
        """Wait for a newborn's first stop and give it the mappings its page table says."""
        tracees = self._tracees
        stop = tracees.newborn.pop(child.tid, None) or tracees.await_stop(child.tid)
        child.stop = stop
        if stop.is_end:
            tracees.keep(stop)
            raise TaskGone
        for vma in parent.mm.mm.vmas:
            if vma.vm_flags & (Vm.DONTCOPY | Vm.WIPEONFORK):
                self._framing.child_without(child, vma)
        self._framing.sync(child.mm, child)

    # Reports ---------------------------------------------------------------------------------

    def on_birth(self, task: Task, stop: Stop) -> None:
        """PTRACE_EVENT_FORK, VFORK or CLONE outside of `fork`."""
        flags = self._clone_flags(task)
        if flags is None or not stop.msg:
            # Killed while it told of it.
            self._endings.end_orphans(stop.msg)
            return
        child: Task
        if flags & CLONE_VM:
            process = (
                task.process
                if flags & CLONE_THREAD
                else _child_process(stop.msg, task.process, flags)
            )
            child = self._enter(stop.msg, process, task.mm, task)
        else:
            if flags & CLONE_FILES and task.process.stage < 1:
                self._note(
                    "CLONE_FILES without CLONE_VM is not supported: direct I/O through a"
                    " descriptor that the other process opens later is not noticed"
                )
            child = self._enter_child(
                stop.msg, task, self._kernel.mm_create(_next_child(task.mm)), flags
            )
        task.in_vfork = stop.code == tracee.EVENT_VFORK
        self._tracees.resume(task)
        first = self._tracees.newborn.pop(child.tid, None)
        if first is not None:
            child.stop = first
            if first.is_end:
                self._endings.on_end(child, first)
            else:
                self._tracees.resume(child)

    def _clone_flags(self, task: Task) -> int | None:
        """How a task made another, where it tells of it; None: it is gone."""
        called = tracee.syscall_of(task.tid)
        if called is None:
            return None
        number, flags, _ = called
        if number == SYS_VFORK:
            return CLONE_VM | CLONE_VFORK
        if number == SYS_CLONE3:
            try:
                return int.from_bytes(task.mm.memory.read(flags, 8), "little")
            except OSError:
                return 0
        return flags if number == 56 else 0

    def on_exec(self, stop: Stop) -> None:
        """PTRACE_EVENT_EXEC: a new program; the thread that execs is the leader from now on."""
        tracees = self._tracees
        former = tracees.tasks.get(stop.msg) or tracees.tasks.get(stop.tid)
        if former is None:
            return
        process, old = former.process, former.mm
        for tid, task in list(process.tasks.items()):
            task.mm.tasks.remove(task)
            task.mm.waiting.pop(task, None)
            tracees.tasks.pop(tid, None)
        process.tasks.clear()
        if not old.tasks:
            self._endings.end_mm(old)
        mm = self._new_mm(stop.tid)
        task = self._enter(stop.tid, process, mm, former)
        self._execed(task)
        behind = native.new_event()
        if tracee.finish_exec(stop.tid, behind):
            return
        task.stop = after = tracee.stop_of(behind)
        if after.is_end:
            tracees.keep(after)
            return
        self._load_again(task)
        if after.is_plain:
            tracees.resume(task)
        else:
            tracees.keep(after)

    def _load_again(self, task: Task) -> None:
        if procfs.has_privileges(task.tid):
            self._note(f"{procfs.name_of_process(task.tid)} is set-user-ID or set-group-ID: it runs"
                       " without the privileges of that")  # fmt: skip
        if task.process.stage < 0:
            task.mm.is_emulated = False
            return
        self._load(task)
        if not task.mm.is_emulated:
            # The marker went with the former program, and no call can be made in this one.
            task.process.on_segv = None
        else:
            with contextlib.suppress(TaskGone):
                self._segv.after_exec(task)


def is_birth(stop: Stop) -> bool:
    """Whether a task tells of another that it made."""
    return stop.kind == native.EVENT and stop.code in BIRTHS


def _child_process(pid: int, parent: ProgramProcess, flags: int) -> ProgramProcess:
    """What a new process has from its parent."""
    on_segv = None if flags & CLONE_CLEAR_SIGHAND else parent.on_segv
    return ProgramProcess(pid, parent.stage, on_segv, dict(parent.rings), parent.closes)


def _next_child(mm: ProgramMm) -> str:
    """What stories call a child before it has a pid."""
    mm.nr_children += 1
    return f"child {mm.nr_children} of {mm.mm.name}"
