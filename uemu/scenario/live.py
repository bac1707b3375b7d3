"""One run on real processes, in the canonical order.

The same text as `simulate` runs, through the public library: ``parent`` and
its children are processes, the threads are real threads, and every action is
a real instruction, a real system call or a request to the machine's devices.
"""

from __future__ import annotations

from typing import Any

from uemu.abi import Direction
from uemu.errors import Fault, InvariantError
from uemu.machine import Call, Machine, Process, Thread
from uemu.mm.hooks import PolicyHooks
from uemu.oracle.violations import Violation
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
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.turns import Turns, Went
from uemu.scenario.verdict import Verdict

PROGRAM = ["true"]
"""What an Exec or a Spawn becomes."""


def run_live(scenario: Scenario, policy: str | PolicyHooks) -> Verdict:
    """Run a scenario once on real processes, under a policy by name or made by the caller.

    Raises:
        HostError: this machine cannot.
        ValueError: the order names a thread too often, or leaves one unfinished.
    """
    with Machine(policy, hpage_nr=scenario.hpage_nr) as machine:
        show = _Show(scenario, machine)
        violations = show.run()
        return Verdict(tuple(violations), tuple(show.seen))


class _Show:
    """A machine, and who acts on it.

    Attributes:
        actors: by name, in the order of their births.
        seen: as in a `Verdict`.
    """

    def __init__(self, scenario: Scenario, machine: Machine) -> None:
        self.scenario = scenario
        self.machine = machine
        self.stage = Stage()
        self.signals: set[str] = set()
        self.actors: dict[str, _Actor] = {}
        self.seen: list[tuple[str, bytes | None]] = []

    def run(self) -> list[Violation]:
        """Set up, give every turn of the order; what was violated."""
        try:
            deadlocks = self._perform_all()
        except InvariantError as error:
            violations = self.machine.violations
            if error.kind in {violation.kind for violation in violations}:
                return violations
            return [*violations, Violation(error.kind, 0, 0, 0, None, error.message, ())]
        return [*self.machine.violations, *deadlocks]

    def _perform_all(self) -> tuple[Violation, ...]:
        parent = self.machine.spawn()
        setup = _Actor(self, "setup", self.scenario.setup(self.stage), parent)
        while not setup.over:
            if setup.go_on() is not Went.THROUGH:
                raise ValueError(f"{self.scenario.name}: the setup waits: {setup.waits_for}")
        self.machine.limit_frames(self.scenario.frame_limit)
        for name, script in self.scenario.threads.items():
            self.actors[name] = _Actor(self, name, script(self.stage), parent, parent.thread(name))
        turns = Turns(self.scenario, self.actors)
        for name in self.scenario.order.split():
            turns.give(name)
            self.machine.check()
        return turns.deadlocks()

    def born(self, name: str, child: Process) -> None:
        """Let a child act that has a script."""
        script = self.scenario.children.get(name)
        if script is not None:
            self.actors[name] = _Actor(self, name, script(self.stage), child)


class _Actor:
    """A script and who carries it out: a process, or a thread of one."""

    def __init__(
        self, show: _Show, name: str, script: Script, process: Process, thread: Thread | None = None
    ) -> None:
        self._show = show
        self._name = name
        self._process = process
        self._user = thread or process
        self._script = script
        self._action: Action | None = None
        self._call: Call[Any] | None = None
        self._borrower: Process | None = None
        self._next_action(None, None)

    @property
    def mm(self) -> int:
        """Its address space."""
        return self._user.mm

    @property
    def over(self) -> bool:
        """Whether its script has come to its end."""
        return self._action is None

    @property
    def waits_for(self) -> str | None:
        """What it stands before: a step of the kernel, or a signal."""
        if self._call is not None:
            return self._call.waits_for
        if self._borrower is not None and self._borrower.alive:
            return f"wait_for_vfork_done: {self._borrower.name}"
        if isinstance(self._action, WaitFor) and self._action.name not in self._show.signals:
            return f"wait_for: {self._action.name}"
        return None

    def go_on(self) -> Went:
        """Act until the turn is over, or something has to wait."""
        went, acted = Went.NOWHERE, False
        while (action := self._action) is not None:
            if acted and not isinstance(action, Signal):
                break
            result: Any = None
            fault: Fault | None = None
            try:
                if self._call is None:
                    if self.waits_for is not None:
                        return went
                    result = self._begin(action)
                    self._call = result if isinstance(result, Call) else None
                    went = Went.SOME_WAY
                if self._call is not None:
                    if not self._call.done:
                        return went
                    result = self._call.result()
            except Fault as refused:
                fault = refused
            went, self._call = Went.SOME_WAY, None
            self._note(action, result if fault is None else None)
            acted = acted or not isinstance(action, Signal | WaitFor)
            self._next_action(result, fault)
        return Went.THROUGH

    def _next_action(self, result: Any, fault: Fault | None) -> None:
        """Go on to the action that comes next; None at the end."""
        try:
            self._action = self._script.throw(fault) if fault else self._script.send(result)
        except StopIteration:
            self._action = None

    def _begin(self, action: Action) -> Any:
        """Begin an action: a call that may have to wait, or at once what it returns."""
        user, begin, dma = self._user, self._user.begin, self._show.machine.dma
        match action:
            case Mmap(length, shared, huge):
                return begin.mmap(length, shared=shared, huge=huge)
            case Store(addr, data):
                return begin.store(addr, data)
            case Load(addr, length):
                return begin.load(addr, length)
            case Fork(child):
                return begin.fork(child)
            case Mremap(addr, old_length, new_length):
                return begin.mremap(addr, old_length, new_length)
            case Madvise(addr, length, advice):
                return begin.madvise(addr, length, advice)
            case Mprotect(addr, length, prot):
                return begin.mprotect(addr, length, prot)
            case Munmap(addr, length):
                return begin.munmap(addr, length)
            case DirectRead(addr, length, api, aio):
                way = Direction.FROM_DEVICE
                return dma.begin_start(user, addr, length, direction=way, api=api, aio=aio)
            case DirectWrite(addr, length, api, aio):
                way = Direction.TO_DEVICE
                return dma.begin_start(user, addr, length, direction=way, api=api, aio=aio)
            case Register(addr, length, writable, api):
                return dma.begin_register(user, addr, length, writable=writable, api=api)
            case AttachSecondary(addr, length, kind):
                return dma.begin_secondary(user, addr, length, kind=kind)
            case SecondaryStore(mmu, offset, data):
                return mmu.begin_store(offset, data, caller=user)
            case SecondaryLoad(mmu, offset, length):
                return mmu.begin_load(offset, length, caller=user)
            case _:
                return self._do(action)

    def _do(self, action: Action) -> Any:
        """Carry out an action that no policy makes wait; what it returns."""
        match action:
            case Complete(io, data):
                return io.complete(data)
            case DeviceLoads(io, offset, length):
                return io.dma_read(offset, length)
            case DeviceStores(io, offset, data):
                return io.dma_write(offset, data)
            case Release(io):
                return io.release()
            case DetachSecondary(mmu):
                return mmu.release()
            case Vfork(child):
                self._borrower = self._user.vfork(child)
                return self._borrower
            case Exec():
                return self._process.exec(PROGRAM)
            case Spawn():
                return self._user.spawn(PROGRAM)
            case SwapOut(addr):
                return self._show.machine.swap_out(self._user, addr)
            case Migrate(addr):
                return self._show.machine.migrate(self._user, addr)
            case KsmMerge(first, second):
                return self._show.machine.ksm_merge((self._user, first), (self._user, second))
            case ClearRefs():
                return self._show.machine.clear_refs(self._user)
            case Exit():
                return self._process.exit()
            case Signal(name):
                return self._show.signals.add(name)
            case WaitFor():
                return None
            case _:
                raise ValueError(f"{self._show.scenario.name}: {self._name} cannot {action!r} here")

    def _note(self, action: Action, result: Any) -> None:
        """Remember what was seen, and who was born; None: the action was refused."""
        match action:
            case Load() | DeviceLoads() | SecondaryLoad():
                self._show.seen.append((self._name, result))
            case Complete() if result:
                self._show.seen.append((self._name, result))
            case Fork(child) | Vfork(child) if result is not None:
                self._show.born(child, result)
