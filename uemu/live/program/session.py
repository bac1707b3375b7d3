"""One run of a program: everything joined, and the loop."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import monotonic

from uemu.errors import InvariantError
from uemu.events import Event, EventBus, MmGone, MmId, PageCopied
from uemu.host import native, procfs, tracee
from uemu.host.doctor import ptrace_error
from uemu.host.limits import MoreFiles
from uemu.host.memfd import MemfdFrames
from uemu.host.tracee import Stop
from uemu.kernel import Kernel
from uemu.live.area import Areas
from uemu.live.program.adoption import Adoption
from uemu.live.program.aio import Aio
from uemu.live.program.births import Births, is_birth
from uemu.live.program.calls import Calls
from uemu.live.program.direct import DirectIo
from uemu.live.program.endings import Endings
from uemu.live.program.faults import Faults
from uemu.live.program.framing import Framing
from uemu.live.program.loader import Loader
from uemu.live.program.mappings import Mappings
from uemu.live.program.owners import with_owner
from uemu.live.program.pipes import Pipes
from uemu.live.program.placement import Placement
from uemu.live.program.remote import Remote
from uemu.live.program.result import RunResult, Stats
from uemu.live.program.schedule import DmaOptions, Schedule
from uemu.live.program.segv_action import SegvAction
from uemu.live.program.stacks import Stacks, Unwinder
from uemu.live.program.tasks import Task
from uemu.live.program.tracees import GONE, Tracees
from uemu.live.program.uring import Uring
from uemu.live.program.uring_register import Register
from uemu.live.program.uring_request import Requests
from uemu.live.program.uring_rings import Rings
from uemu.live.program.which import NOT_EXECUTABLE, CannotRun, find_program
from uemu.live.program.window import WindowMmu
from uemu.oracle.judge import Oracle
from uemu.oracle.places import frame_text, own_frame
from uemu.oracle.violations import Violation
from uemu.policy.registry import make_policy

LOOK_MS = 1
"""How often it is asked whether anything else can run, while a transfer is held."""


class Session:
    """A program under a policy."""

    def __init__(
        self,
        policy: str,
        dma: DmaOptions,
        note: Callable[[str], None],
        trace: Callable[[Event], None] | None,
    ) -> None:
        self._notes: list[str] = []
        self._tell = note
        self._was_quiet = False
        self._nr_seen = 0
        events = EventBus(trace)
        self._oracle = Oracle(events, lambda cpu: self._stacks.take(cpu), sees_stores=False)
        self._frames = MemfdFrames()
        self._areas = Areas()
        mmu = WindowMmu(self._frames)
        kernel = self._kernel = Kernel(make_policy(policy), self._frames, mmu, events)
        self._loader = Loader(self._frames, self._areas)
        self._stats = Stats()
        self.tracees = Tracees(self._loader.slot)
        segv = SegvAction(self.tracees, self._loader.slot)
        framing = Framing(kernel, mmu, self.tracees, self._loader, segv, self._stats)
        self._schedule = Schedule(kernel, dma, self._let_go)
        adoption = Adoption(kernel, self.tracees, framing, self._stats, self._note)
        violations = self._oracle.violations
        direct = DirectIo(kernel, framing, adoption, self._schedule, self._stats, violations)
        slot = self._loader.slot
        self._aio = Aio(self.tracees, framing, self._schedule, direct, slot)
        register = Register(
            kernel, self.tracees, framing, adoption, self._schedule, self._note
        )  # fmt: skip
        requests = Requests(direct, self._note)
        rings = Rings(self.tracees, register)
        self._uring = Uring(
            self.tracees, framing, self._loader, requests, rings, self._note
        )  # fmt: skip
        self._pipes = Pipes(
            kernel,
            self.tracees,
            framing,
            adoption,
            direct,
            self._schedule,
            self._loader,
            self._stats,
        )
        self._endings = Endings(
            kernel,
            self.tracees,
            framing,
            self._schedule,
            register.mm_ends,
            self._pipes.left,
            rings.look_for_ends,
        )
        self._births = Births(
            kernel,
            mmu,
            self.tracees,
            framing,
            self._loader,
            self._schedule,
            self._endings,
            segv,
            self._stats,
            self._note,
            rings.execed,
            lambda cpu: self._where(cpu),
        )
        self._stacks = Stacks(self.tracees.tasks, self._births.tids)
        remote = Remote(kernel, self.tracees, framing, direct, self._schedule)
        self._placement = Placement(self.tracees.tasks)
        mappings = Mappings(kernel, self.tracees, framing, self._schedule, slot, self._note)
        self._calls = Calls(
            mappings, self.tracees, framing, self._births, self._loader, self._schedule, direct,
            self._aio, self._uring, rings, register, self._pipes,
            remote, self._placement, segv, self._note,
        )  # fmt: skip
        self._faults = Faults(
            self.tracees, framing, self._schedule, segv, self._loader.slot, self._calls.break_cow
        )
        events.subscribe(PageCopied, self._page_copied)
        events.subscribe(MmGone, self._aio.mm_gone)
        events.subscribe(MmGone, self._stacks.forget)

    def _note(self, text: str) -> None:
        if text in self._notes:
            return
        self._notes.append(text)
        self._tell(text)

    def _where(self, cpu: str) -> str:
        """`` in FUNCTION (FILE:LINE)``: where a stopped thread is, if that can be known."""
        moment = self._stacks.take(cpu)
        if moment is None:
            return ""
        from uemu.host.libdw import NoLibdw

        try:
            unwinder = Unwinder()
        except NoLibdw:
            return ""
        try:
            own = own_frame(unwinder.stack_of(moment))
        finally:
            unwinder.close()
        return f" in {frame_text(own)}" if own is not None else ""

    def _page_copied(self, cpu: str, mm: int, base: int, src: int, dst: int, fn: str) -> None:
        if fn == "cow_user_page":
            self._stats.cow_copies += 1
        else:
            self._stats.fork_copies += 1

    def _let_go(self, child: Task) -> None:
        child.parked = False
        self.tracees.resume(child)

    def _close(self) -> None:
        self._placement.scatter()
        self._uring.close()
        self._loader.close()
        self._areas.close()
        self._frames.close()

    # The loop --------------------------------------------------------------------------------

    def run(self, path: str, argv: Sequence[str], env: Sequence[str]) -> RunResult:
        """Run a program and all its descendants to their end."""
        with MoreFiles() as more:
            return self._run(path, argv, env, more)

    def _run(
        self, path: str, argv: Sequence[str], env: Sequence[str], more: MoreFiles
    ) -> RunResult:
        try:
            pid = tracee.start(path, argv, env)
        except OSError as error:
            self._close()
            why = error.strerror or str(error)
            raise CannotRun(NOT_EXECUTABLE, f"run {path}", why, "See execve(2).") from None
        try:
            more.not_for(pid)
            self._births.begin(pid)
            self._loop()
            self._endings.reap_orphans()
            self._endings.end_all()
            self._pipes.end_all()
            self.check_nothing_left()
        except BaseException:
            native.kill(pid)
            self._endings.kill_all()
            raise
        finally:
            self._close()
        status, signal = self._endings.ending or (None, None)
        pids = self._births.pids
        return RunResult(
            status,
            signal,
            self._told(pids),
            self._stats,
            self._notes,
            pids,
            self._births.tids,
        )

    def _told(self, pids: Mapping[MmId, int]) -> list[Violation]:
        """The violations with what only processes that are real have: ids, and stacks."""
        violations = [replace(each, pid=pids.get(each.mm)) for each in self._oracle.violations]
        if not violations:
            return []
        # Only now: a run without violations needs nothing of it.
        from uemu.host.libdw import NoLibdw

        try:
            unwinder = Unwinder()
        except NoLibdw as why:
            self._note(str(why))
            return [with_owner(each) for each in violations]
        try:
            return [
                with_owner(unwinder.with_stacks(each), unwinder.variable_at) for each in violations
            ]
        finally:
            unwinder.close()

    def _loop(self) -> None:
        tracees, looked = self.tracees, 0.0
        waiting = self._schedule, self._calls, self._aio, self._pipes
        while tracees.tasks:
            waits = any(each.is_waiting for each in waiting)
            stop = tracees.next(LOOK_MS if waits else None)
            if stop is not None:
                self._was_quiet = False
                self._placement.stopped()
                try:
                    self._dispatch(stop)
                except GONE:
                    # It died in the middle of it, or another that it had to do with:
                    # that end is reported, too.
                    self._go_on(stop)
                finally:
                    self._uring.look()
                    self._calls.look_at_entry()
            self._look_at_violations()
            if waits and (stop is None or monotonic() - looked > LOOK_MS / 1000):
                self._look(idle=stop is None)
                looked = monotonic()
                self._look_at_violations()

    def _look_at_violations(self) -> None:
        violations = self._oracle.violations
        if len(violations) > self._nr_seen:
            self._stacks.look(violations[self._nr_seen :])
            self._nr_seen = len(violations)

    def _go_on(self, stop: Stop) -> None:
        """Let a task go on, if it lives, of whose report nothing came."""
        task = self.tracees.tasks.get(stop.tid)
        if task is not None and task.stop is stop and not stop.is_end:
            task.parked = False
            if stop.kind == tracee.SECCOMP:
                self.tracees.pass_call(task)
            else:
                self.tracees.resume(task, stop.code if stop.kind == native.SIGNAL else 0)

    def check_nothing_left(self) -> None:
        """With the last task everything is gone: transfers, pages and their frames.

        Raises:
            InvariantError: something is left.
        """
        mech, live = self._kernel.mech, self._kernel.io.dma.live
        pages = [page for page in mech.pages.values() if not page.reserved]
        if pages and self._kernel.hooks.leaks():
            text = f"{len(pages)} pages are never freed, though nobody has them: {pages[0]!r} ..."
            leak = Violation("refcount-leak", 0, 0, 0, pages[0].pfn, text, ())
            self._oracle.violations.append(leak)
            pages = []
        left = [*pages, *live.values(), *mech.mms.values(), *self.tracees.newborn.values()]
        # The zero page is a frame, too, and never given back.
        if left or self._frames.nr_used > len(mech.pages):
            nr_frames = self._frames.nr_used
            raise InvariantError("refcount-leak", f"left of a run: {left}, {nr_frames} frames")

    def _look(self, *, idle: bool) -> None:
        """See whether something has waited long enough, or for nothing."""
        self._aio.tick()
        self._pipes.tick()
        ended = self._schedule.tick()
        is_quiet = idle and not ended and self._schedule.is_waiting and not self._can_go_on()
        # Who was woken by the last one that was looked at, or stopped since we waited, has
        # run or told by the next time.
        if is_quiet and self._was_quiet:
            self._schedule.nothing_else_can_run()
        self._was_quiet = is_quiet
        self._uring.look()
        self._calls.look_at_entry()

    def _can_go_on(self) -> bool:
        running = [task for task in self.tracees.tasks.values() if task.stop is None]
        return any(procfs.can_go_on(task.tid) for task in running if not task.in_vfork)

    def _dispatch(self, stop: Stop) -> None:
        tracees, births = self.tracees, self._births
        task = tracees.tasks.get(stop.tid)
        if stop.kind == native.EVENT and stop.code == tracee.EVENT_EXEC:
            births.on_exec(stop)
        elif task is None:
            # Its parent will tell of it; `Tracees.newborn` has it.
            self._endings.end_orphans(stop.msg if is_birth(stop) else 0)
        elif stop.kind == tracee.SECCOMP:
            self._calls.on_call(task, stop)
        elif stop.is_end:
            self._endings.on_end(task, stop)
        elif stop.kind == native.SEGV:
            self._faults.on_segv(task, stop)
        elif stop.kind == native.TRAP:
            self._faults.on_signal(task, stop._replace(code=tracee.SIGTRAP))
        elif stop.kind == native.SIGNAL:
            self._faults.on_signal(task, stop)
        elif stop.kind == native.EVENT:
            self._on_event(task, stop)
        elif stop.kind == tracee.RETURNS:
            self._calls.on_return(task)
        else:
            tracees.resume(task)

    def _on_event(self, task: Task, stop: Stop) -> None:
        if is_birth(stop):
            self._births.on_birth(task, stop)
        elif stop.code == native.EVENT_STOP and stop.msg != tracee.SIGTRAP:
            task.stop = None
            if tracee.listen(task.tid):
                # Calls were made in it meanwhile, so it has to get there once more.
                tracee.interrupt(task.tid)
                self.tracees.resume(task)
        else:
            if stop.code == tracee.EVENT_VFORK_DONE:
                task.in_vfork = False
            elif stop.is_plain:
                # It was asked to, so that it waits at a futex anew.
                self.tracees.excuse(task)
            self.tracees.resume(task)


def run_program(
    argv: Sequence[str],
    policy: str,
    dma: DmaOptions,
    note: Callable[[str], None],
    trace: Callable[[Event], None] | None,
) -> RunResult:
    """Run a program under a policy, as an ordinary user, on this machine.

    Args:
        argv: the program, by name or path, and its arguments.
        policy: ``NAME`` or ``NAME:VARIANT``.
        dma: how long transfers are in flight.
        note: is told, once each, what is not supported.
        trace: is given every event.

    Raises:
        CannotRun: there is no such program, or not one that can be traced.
        HostError: this machine cannot trace.
        ValueError: no such policy, or one that is not for programs.
    """
    why = make_policy(policy).not_for_programs
    if why is not None:
        raise ValueError(f"{policy} is not for programs: {why}")
    path = find_program(argv[0])
    refused = ptrace_error()
    if refused is not None:
        raise refused
    session = Session(policy, dma, note, trace)
    env = [f"{name}={value}" for name, value in os.environ.items()]
    return session.run(path, argv, env)
