"""A scenario, one step at a time: on the simulated MMU, or on other hardware.

Each thread of the process ``parent``, and each child that has a script, is a
task with a CPU of its own. A task's op is its script with every action
replaced by the kernel operation behind it: run to the end one after the
other (`simulate`) that is one run, interleaved by an explorer it is all of
them. The world does not know who drives it.

The setup runs on the CPU of the first thread, whose TLB is warm after it;
the other CPUs have touched nothing yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uemu.abi import PAGE_MASK, Direction
from uemu.dma.engine import Io, Transfer
from uemu.errors import Fault
from uemu.events import EventBus, Seen
from uemu.kernel import Kernel, SecondaryMmu
from uemu.mm.hooks import PolicyHooks
from uemu.mm.mm_struct import MmStruct
from uemu.mm.pte import Pte
from uemu.oracle.judge import Oracle
from uemu.policy.registry import make_policy
from uemu.scenario.actions import (
    Action,
    AttachSecondary,
    ClearRefs,
    Complete,
    DetachSecondary,
    DeviceLoads,
    DeviceStores,
    DirectRead,
    DirectWrite,
    Exec,
    Exit,
    Fork,
    KsmMerge,
    Load,
    Madvise,
    Migrate,
    Mmap,
    Mprotect,
    Mremap,
    Munmap,
    Register,
    Release,
    SecondaryLoad,
    SecondaryStore,
    Signal,
    Spawn,
    Store,
    SwapOut,
    Vfork,
    WaitFor,
)
from uemu.scenario.hardware import Hardware, SimulatedHardware
from uemu.scenario.lives import Lives
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.state import counts_of
from uemu.scenario.tasks import StoreBuffer, Task
from uemu.step import Cell, Cpu, Op, RecordingCpu, Step, run
from uemu.step.tso import TsoCpu


class SteppedWorld:
    """What an explorer, or `simulate`, drives.

    Args:
        hardware: what it runs on, not used before.
        tso: the kernel's own stores become visible as under x86-TSO.
        pagevecs: fresh pages wait for the LRU, with a reference more.

    Attributes:
        scenario: whose threads run.
        stage: what its scripts share.
        kernel: under the policy asked for.
        oracle: what was violated so far.
        seen: (task, bytes) for what was loaded, and what devices read, in order;
            None for a load that got SIGSEGV.
        shown: what each address space shows once every task is through.
    """

    def __init__(
        self,
        scenario: Scenario,
        policy: str | PolicyHooks,
        hardware: Hardware,
        *,
        ipi_waits_for_gup_fast: bool = True,
        tso: bool = False,
        pagevecs: bool = False,
    ) -> None:
        self._tso = tso
        hooks = make_policy(policy) if isinstance(policy, str) else policy
        events = EventBus(keep=0)
        self.scenario = scenario
        self.stage = Stage()
        self.oracle = Oracle(events)
        self.seen: list[tuple[str, bytes | None]] = []
        self.shown: list[Seen] = []
        events.watch(Seen, self.shown.append)
        self._hardware = hardware
        self.kernel = Kernel(
            hooks,
            hardware.frames,
            hardware.mmu,
            events,
            cpus=hardware.cpus,
            ipi_waits_for_gup_fast=ipi_waits_for_gup_fast,
            pagevecs=pagevecs,
            hpage_nr=scenario.hpage_nr,
        )
        self._tasks: list[Task] = []
        self._runners: list[Task | StoreBuffer] = []
        self._signals: dict[str, Cell[bool]] = {}
        self._lives = Lives(self.kernel, hardware, self._tasks, self._beget)
        self._parent = self.kernel.mm_create("parent")
        hardware.begin(self._parent, None)
        for name, script in scenario.threads.items():
            self._add_task(name, self._parent, script(self.stage))
        self._set_up()

    def make_cpu(self, name: str) -> RecordingCpu:
        """A CPU of the memory model that is asked for."""
        return TsoCpu(name) if self._tso else RecordingCpu(name)

    def _add_task(self, name: str, mm: MmStruct, script: Script) -> Task:
        task = Task(self, name, mm, script)
        self._tasks.append(task)
        self._runners.append(task)
        if isinstance(task.cpu, TsoCpu):
            self._runners.append(StoreBuffer(task, task.cpu))
        self._hardware.run_on(task.cpu, mm)
        return task

    def _beget(self, name: str, mm: MmStruct) -> Task | None:
        """The task of a child that has a script."""
        script = self.scenario.children.get(name)
        return self._add_task(name, mm, script(self.stage)) if script is not None else None

    def _set_up(self) -> None:
        first = self._tasks[0]
        setup = Task(self, "setup", self._parent, self.scenario.setup(self.stage))
        setup.cpu = first.cpu
        for step in setup.op:
            first.cpu.mb()
            assert step.is_enabled(), f"nobody else is there, and {step.fn} waits"
        first.cpu.mb()
        first.cpu.take_accesses()
        self.kernel.mech.frame_limit = self.scenario.frame_limit

    # What is driven ----------------------------------------------------------------------

    def tasks(self) -> Sequence[Task | StoreBuffer]:
        """The tasks in the order of their creation; a fork that ends adds one.

        Under x86-TSO each is followed by what drains its stores.
        """
        return self._runners

    def threads(self) -> Sequence[Task]:
        """The tasks that a scenario knows: `tasks` without what drains stores."""
        return self._tasks

    def check(self) -> None:
        """Check the kernel's invariants, strictly when nobody is inside an action.

        Raises:
            InvariantError: one does not hold.
        """
        stores_wait = any(task.cpu.has_stores() for task in self._tasks)
        at_rest = not stores_wait and not any(task.busy for task in self._tasks)
        self.kernel.check(at_rest=at_rest, stores_wait=stores_wait)

    def finish(self) -> frozenset[str]:
        """The kinds of what was violated, when nobody can run any more.

        If every task is through, each process looks at its memory and then
        ends, so that a lost store and what nobody gave back show.

        Raises:
            InvariantError: ``refcount-leak``.
        """
        if all(task.over for task in self._tasks):
            self.kernel.user.look()
            cpu = Cpu("exit")
            for mm in list(self.kernel.mech.mms.values()):
                run(self.kernel.exit_mm(cpu, mm))
            self.kernel.check(at_rest=True)
        return frozenset(violation.kind for violation in self.oracle.violations)

    def state(self) -> str:
        """The frame the parent maps at the buffer, then count/mapcount of each pfn.

        ``1: 2/1e -`` reads: pfn 1 is mapped; pfn 0 has 2 references, one of
        them a PTE's, and is exclusive; another frame is gone. A pin shows as
        ``+p``: ``1+p/1`` is a count of 1025.
        """
        mech = self.kernel.mech
        pte = self._parent.shows(self.stage.buf & PAGE_MASK)
        mapped = str(pte.pfn) if isinstance(pte, Pte) else "-"
        last = max(mech.pages, default=-1)
        counts = [counts_of(mech.pages.get(pfn)) for pfn in range(last + 1)]
        return f"{mapped}: {' '.join(counts)}"

    # What the actions are ------------------------------------------------------------------

    def perform(self, task: Task, action: Action) -> Op[Any]:
        """The operation behind an action of a task."""
        kernel, cpu, mm = self.kernel, task.cpu, task.mm
        match action:
            case Mmap(length, shared, huge):
                return kernel.mmap(cpu, mm, length, shared=shared, huge=huge)
            case Store(addr, data):
                return kernel.user.store(cpu, mm, addr, data)
            case Load(addr, length):
                return self._noting(task, kernel.user.load(cpu, mm, addr, length))
            case Fork(child):
                return self._lives.fork(task, child)
            case Vfork(child):
                return self._lives.vfork(task, child)
            case Exec():
                return self._lives.exec(task)
            case Spawn():
                return self._lives.spawn()
            case DirectRead(addr, length, api, aio):
                way = Direction.FROM_DEVICE
                return kernel.io.dio_submit(cpu, mm, [(addr, length)], way, api, aio=aio)
            case DirectWrite(addr, length, api, aio):
                way = Direction.TO_DEVICE
                return kernel.io.dio_submit(cpu, mm, [(addr, length)], way, api, aio=aio)
            case Complete(io, data):
                return self._complete(task, io, data)
            case Register(addr, length, writable, api):
                return kernel.io.register(cpu, mm, addr, length, writable, api)
            case DeviceStores(io, offset, data):
                return kernel.io.dma_write(cpu, io, offset, data)
            case DeviceLoads(io, offset, length):
                return self._noting(task, kernel.io.dma_read(cpu, io, offset, length))
            case Release(io):
                return kernel.io.release(cpu, io)
            case AttachSecondary(addr, length, kind):
                return kernel.attach_secondary(cpu, mm, addr, length, kind)
            case SecondaryStore(mmu, offset, data):
                return _secondary(task, mmu).store(cpu, offset, data)
            case SecondaryLoad(mmu, offset, length):
                return self._noting(task, _secondary(task, mmu).load(cpu, offset, length))
            case DetachSecondary(mmu):
                return _secondary(task, mmu).detach(cpu)
            case Madvise(addr, length, advice):
                return kernel.madvise(cpu, mm, addr, length, advice)
            case Mprotect(addr, length, prot):
                return kernel.mprotect(cpu, mm, addr, length, prot)
            case Mremap(addr, old_length, new_length):
                return kernel.mremap(cpu, mm, addr, old_length, new_length)
            case Munmap(addr, length):
                return kernel.munmap(cpu, mm, addr, length)
            case SwapOut(addr):
                return kernel.swap_out(cpu, mm, addr)
            case Migrate(addr):
                return kernel.migrate(cpu, mm, addr)
            case KsmMerge(first, second):
                return kernel.ksm_merge(cpu, (mm, first), (mm, second))
            case ClearRefs():
                return kernel.clear_refs(cpu, mm)
            case Exit():
                return self._lives.exit(task)
            case Signal(name):
                return self._signal(task, name)
            case WaitFor(name):
                return self._wait_for(task, name)
        raise TypeError(f"{task.name} yields {action!r}, which is no action")

    def _noting(self, task: Task, op: Op[bytes]) -> Op[bytes]:
        try:
            data = yield from op
        except Fault:
            self.seen.append((task.name, None))
            raise
        self.seen.append((task.name, data))
        return data

    def _complete(self, task: Task, io: Io, data: bytes) -> Op[bytes]:
        kernel, cpu = self.kernel, task.cpu
        if not isinstance(io, Transfer):
            raise TypeError(f"{task.name} completes {io!r}, which is no transfer")
        read = b""
        if io.direction is Direction.TO_DEVICE:
            read = yield from self._noting(task, kernel.io.dma_read(cpu, io, 0, io.length))
        elif data:
            yield from kernel.io.dma_write(cpu, io, 0, data)
        yield from kernel.io.dio_complete(cpu, io)
        return read

    def _cell(self, name: str) -> Cell[bool]:
        return self._signals.setdefault(name, Cell(("signal", name), False))

    def _signal(self, task: Task, name: str) -> Op[None]:
        yield Step("signal", name)
        task.cpu.write(self._cell(name), True)

    def _wait_for(self, task: Task, name: str) -> Op[None]:
        cell = self._cell(name)
        yield Step("wait_for", name, cell.peek)
        task.cpu.read(cell)


def _secondary(task: Task, mmu: object) -> SecondaryMmu:
    if not isinstance(mmu, SecondaryMmu):
        raise TypeError(f"{task.name} uses {mmu!r}, which is no secondary MMU")
    return mmu


class SimulatedWorld(SteppedWorld):
    """A scenario on the simulated MMU: what an explorer runs again and again."""

    def __init__(
        self,
        scenario: Scenario,
        policy: str | PolicyHooks,
        *,
        ipi_waits_for_gup_fast: bool = True,
        tso: bool = False,
        pagevecs: bool = False,
    ) -> None:
        super().__init__(
            scenario,
            policy,
            SimulatedHardware(),
            ipi_waits_for_gup_fast=ipi_waits_for_gup_fast,
            tso=tso,
            pagevecs=pagevecs,
        )
