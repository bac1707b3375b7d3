"""A machine: a policy, real processes, devices, and what went wrong."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import NamedTuple, TypeVar

from uemu.abi import PAGE_MASK, PAGE_SIZE
from uemu.errors import Blocked, HostError, InvariantError, OutOfFrames
from uemu.events import Event, EventBus, MmId
from uemu.host.doctor import ptrace_error
from uemu.host.memfd import MemfdFrames
from uemu.kernel import Kernel
from uemu.live.mmu import LiveMmu
from uemu.live.newborn import FRAMES_FD
from uemu.live.puppet import PuppetThread
from uemu.live.runner import Runner
from uemu.live.stage import Stage
from uemu.live.tracer import Tracer
from uemu.machine.dma import Dma
from uemu.machine.process import Call, Caller, Process
from uemu.mm.hooks import PolicyHooks
from uemu.mm.mm_struct import HPAGE_NR, MmStruct
from uemu.mm.pte import Pte
from uemu.oracle.judge import Oracle
from uemu.oracle.violations import Violation
from uemu.policy.registry import NEWEST, make_policy
from uemu.step import Cpu, Op

T = TypeVar("T")
R = TypeVar("R")


class PageInfo(NamedTuple):
    """A page's record at one moment.

    Attributes:
        pfn: the frame's number.
        refcount: references; a pin counts 1024.
        mapcount: page table entries that map it.
        flags: names of the flags that are set.
    """

    pfn: int
    refcount: int
    mapcount: int
    flags: tuple[str, ...]


class Machine:
    """Real processes under one kernel's rules; a context manager.

    It works inside programs that have children of their own and never reaps
    them: whoever waits for a child by its pid, as `subprocess` does, is not
    disturbed. A wait for *any* child (``os.wait()``, ``os.waitpid(-1, ...)``)
    counts the machine's processes among those there are; in another thread,
    while the machine works, it could take what the machine waits for.

    Its processes end with `close`, with the machine itself, and with the
    program, however that ends.

    Args:
        policy: ``NAME`` or ``NAME:VARIANT``, as `uemu policies` lists them, or
            one made by the caller, not used before.
        hpage_nr: how many pages a huge page has.

    Raises:
        ValueError: no such policy, or a number of pages that is no power of two.
        HostError: this machine cannot trace processes.

    Attributes:
        policy: the policy's name.
        dma: the devices.
        hpage_size: how big a huge page is, in bytes.
    """

    def __init__(self, policy: str | PolicyHooks = NEWEST, *, hpage_nr: int = HPAGE_NR) -> None:
        hooks = make_policy(policy) if isinstance(policy, str) else policy
        self.policy = policy if isinstance(policy, str) else policy.name
        if hpage_nr < 4 or hpage_nr & (hpage_nr - 1):
            raise ValueError(f"a huge page has 4 pages, 8, 16 ..., not {hpage_nr}")
        self.hpage_size = hpage_nr * PAGE_SIZE
        self._events = EventBus()
        self._oracle = Oracle(self._events)
        refused = ptrace_error()
        if refused is not None:
            raise refused
        self.runner = Runner(self._events.emit)
        self._broken: HostError | None = None
        self._pids: dict[int, int] = {}
        self._nr_spawned = 0
        frames = MemfdFrames()
        try:
            self.tracer = Tracer()
        except BaseException:
            frames.close()
            raise
        try:
            self.stage = self.tracer.call(lambda: _build(hooks, frames, self._events, hpage_nr))
        except BaseException:
            self.tracer.close()
            frames.close()
            raise
        self.dma = Dma(self)
        # A machine nobody closes takes its processes with it all the same.
        self._close = weakref.finalize(self, _close, self.tracer, self.stage, frames)

    def spawn(self, name: str = "") -> Process:
        """Start a real process with nothing mapped, the first one called "parent"."""

        def start() -> Process:
            number = self._nr_spawned
            self._nr_spawned += 1
            label = name or (f"process-{number}" if number else "parent")
            return Process(self, self.stage.births.spawn(label))

        return self.tracer.call(start)

    @property
    def violations(self) -> list[Violation]:
        """What went wrong so far, in order."""
        pids = self._pids
        return [replace(each, pid=pids.get(each.mm)) for each in list(self._oracle.violations)]

    def note_pid(self, mm: int, pid: int) -> None:
        """Remember whose address space ``mm`` is, for reports."""
        self._pids.setdefault(mm, pid)

    @property
    def timeline(self) -> list[Event]:
        """The last events, oldest first; they are still there when the machine is closed."""
        if self.tracer.closed:
            return self._events.log()
        return self.tracer.call(self._events.log)

    def frame_of(self, caller: Caller, addr: int) -> int | None:
        """The pfn a process maps at ``addr``, or None."""
        entry = self.entry_of(caller, addr)
        return entry[0] if entry is not None else None

    def entry_of(self, caller: Caller, addr: int) -> tuple[int, bool] | None:
        """The page table entry for ``addr``: (pfn, writable), or None."""
        self.check_own(caller)
        mm = caller._puppet.process.mm

        def look() -> tuple[int, bool] | None:
            pte = mm.shows(addr & PAGE_MASK)
            return (pte.pfn, pte.write) if isinstance(pte, Pte) else None

        return self.tracer.call(look)

    def name_of(self, mm: int) -> str:
        """What reports call the process with address space ``mm``."""
        return self._oracle.name_of(mm)

    @property
    def pfns(self) -> list[int]:
        """The numbers of all page frames in use."""
        return self.tracer.call(lambda: list(self.stage.kernel.mech.pages))

    def read_frame(self, pfn: int, offset: int, length: int) -> bytes:
        """Bytes of a page frame, as a device would see them."""
        return self.tracer.call(lambda: self.stage.kernel.frames.read(pfn, offset, length))

    def page(self, pfn: int) -> PageInfo:
        """A page's record.

        Raises:
            KeyError: no page has that number now.
        """

        def look() -> PageInfo:
            page = self.stage.kernel.mech.pages[pfn]
            return PageInfo(pfn, page.refcount.peek(), page.mapcount.peek(), page.flags_set())

        return self.tracer.call(look)

    def limit_frames(self, limit: int | None) -> None:
        """Let the emulated kernel have ``limit`` page frames; None: as many as it wants.

        Beyond that fork and faults that need one raise `uemu.Fault` with ENOMEM.
        """
        mech = self.stage.kernel.mech
        self.tracer.call(lambda: setattr(mech, "frame_limit", limit))

    def check(self) -> None:
        """Check the emulated kernel's invariants.

        Raises:
            InvariantError: one does not hold: a bug in uemu or in the policy.
        """

        def check() -> None:
            self.stage.kernel.check(at_rest=not self.runner.is_waiting)

        self.tracer.call(check)

    # What the kernel does of its own accord ---------------------------------------------

    def swap_out(self, caller: Caller, addr: int) -> str:
        """Let reclaim have the page at ``addr``; "freed", or why it is kept."""
        mm = self._mm_of(caller)
        return self.start_in_kernel(
            "kswapd", mm.id, lambda stage, cpu: stage.kernel.swap_out(cpu, mm, addr)
        ).result()

    def migrate(self, caller: Caller, addr: int) -> str:
        """Move the page at ``addr`` to another frame; "migrated", or why it stays."""
        mm = self._mm_of(caller)
        return self.start_in_kernel(
            "kcompactd", mm.id, lambda stage, cpu: stage.kernel.migrate(cpu, mm, addr)
        ).result()

    def ksm_merge(self, first: tuple[Caller, int], second: tuple[Caller, int]) -> str:
        """Make one page of two with the same bytes; "merged", or why they stay two.

        Args:
            first, second: whose page, and an address in it.

        Raises:
            Fault: EINVAL, that kernel has no KSM.
        """
        a = self._mm_of(first[0]), first[1] & PAGE_MASK
        b = self._mm_of(second[0]), second[1] & PAGE_MASK
        return self.start_in_kernel(
            "ksmd", a[0].id, lambda stage, cpu: stage.kernel.ksm_merge(cpu, a, b)
        ).result()

    def clear_refs(self, caller: Caller) -> None:
        """Write "4" to a process's clear_refs: soft-dirty bits begin anew.

        Raises:
            Fault: EINVAL, that kernel has none.
        """
        mm = self._mm_of(caller)
        self.start_in_kernel(
            "clear_refs", mm.id, lambda stage, cpu: stage.kernel.clear_refs(cpu, mm)
        ).result()

    def _mm_of(self, caller: Caller) -> MmStruct:
        self.check_own(caller)
        return caller._puppet.process.mm

    def check_own(self, caller: Caller) -> None:
        """Raise ValueError if a process or thread is another machine's."""
        if caller._machine is not self:
            raise ValueError(f"{caller!r} belongs to another machine")

    def start(
        self,
        label: str,
        puppet: PuppetThread,
        op: Callable[[Stage], Op[T]],
        wrap: Callable[[T], R],
    ) -> Call[R]:
        """Begin an operation on a thread."""
        return self.tracer.call(lambda: self._start(label, puppet, op, wrap))

    def _start(
        self,
        label: str,
        puppet: PuppetThread,
        op: Callable[[Stage], Op[T]],
        wrap: Callable[[T], R],
    ) -> Call[R]:
        self.check_ready(label, puppet)
        alive = functools.partial(self.stage.reports.check_alive, puppet)
        return self._run(label, puppet.cpu, puppet.process.mm.id, op(self.stage), alive, wrap)

    def start_in_kernel(self, name: str, mm: MmId, op: Callable[[Stage, Cpu], Op[T]]) -> Call[T]:
        """Begin an operation on no thread of a process; ``mm`` is the one it is about."""

        def begin() -> Call[T]:
            self._check_usable()
            cpu = Cpu(name)
            work = self.stage.of_the_kernel(op(self.stage, cpu))
            return self._run(name, cpu, mm, work, lambda: None, lambda result: result)

        return self.tracer.call(begin)

    def _run(
        self,
        label: str,
        cpu: Cpu,
        mm: MmId,
        op: Op[T],
        check_alive: Callable[[], None],
        wrap: Callable[[T], R],
    ) -> Call[R]:
        task = self.runner.start(label, cpu, mm, op, check_alive)
        if isinstance(task.error, OutOfFrames):
            self._broken = task.error
        if isinstance(task.error, InvariantError):
            broken = task.error
            self._oracle.violations.append(
                Violation(broken.kind, mm, 0, 0, None, broken.message, ())
            )
        return Call(self, task, wrap)

    def _check_usable(self) -> None:
        if self._broken is not None:
            raise HostError("use this machine", f"it broke: {self._broken}",
                            "Open another uemu.Machine.")  # fmt: skip

    def check_ready(self, label: str, puppet: PuppetThread) -> None:
        """Raise unless a thread can begin a call now; on the tracer thread."""
        self._check_usable()
        self.stage.reports.check_alive(puppet)
        busy = self.runner.parked_on(puppet.cpu)
        if busy is not None:
            raise Blocked(label, f"its thread is still in {busy.label}")

    def close(self) -> None:
        """End every process of the machine and free its frames."""
        self._close()

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _build(hooks: PolicyHooks, frames: MemfdFrames, events: EventBus, hpage_nr: int) -> Stage:
    mmu = LiveMmu(frames, FRAMES_FD)
    return Stage(Kernel(hooks, frames, mmu, events, hpage_nr=hpage_nr), mmu, frames.fd)


def _close(tracer: Tracer, stage: Stage, frames: MemfdFrames) -> None:
    if not tracer.is_here:
        return  # a fork of the host program: the machine is its parent's
    try:
        tracer.call(stage.close)
    finally:
        tracer.close()
        frames.close()
