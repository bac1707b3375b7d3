"""One run on real processes, in the canonical order.

The same text as `simulate` runs, through the public library: ``parent`` and
its children are processes, the threads are real threads, and every action is
a real instruction, a real system call or a request to the machine's devices.
"""

from __future__ import annotations

from typing import Any

from uemu.abi import Direction
from uemu.errors import Fault, InvariantError
from uemu.machine import Machine, Process, Thread, Transfer
from uemu.oracle.violations import Violation
from uemu.scenario.actions import (
    Action,
    Complete,
    DeviceLoads,
    DeviceStores,
    DirectRead,
    DirectWrite,
    Exit,
    Fork,
    Load,
    Madvise,
    Mmap,
    Mprotect,
    Mremap,
    Munmap,
    Register,
    Release,
    Signal,
    Store,
    WaitFor,
)
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.verdict import Verdict


def run_live(scenario: Scenario, policy_name: str) -> Verdict:
    """Run a scenario once on real processes.

    Raises:
        HostError: this machine cannot.
        Blocked: the policy makes an action wait, and nothing else can run.
        ValueError: the order names a thread that has no turn left.
    """
    with Machine(policy=policy_name) as machine:
        show = _Show(scenario, machine)
        violations = show.run()
        return Verdict(tuple(violations), tuple(show.seen))


class _Actor:
    """A script and the process or thread that carries it out.

    Attributes:
        process: the one it is, or is a thread of.
    """

    def __init__(self, name: str, user: Process | Thread, script: Script, process: Process) -> None:
        self.name = name
        self.user = user
        self.process = process
        self.script = script
        self.action: Action | None = None
        self.next_action(None, None)

    def next_action(self, result: Any, fault: Fault | None) -> None:
        """Go on to the action that comes next; None at the end."""
        try:
            self.action = self.script.throw(fault) if fault else self.script.send(result)
        except StopIteration:
            self.action = None


class _Show:
    """A machine, and who acts on it."""

    def __init__(self, scenario: Scenario, machine: Machine) -> None:
        self.scenario = scenario
        self.machine = machine
        self.seen: list[tuple[str, bytes]] = []
        self._stage = Stage()
        self._signals: set[str] = set()
        self._actors: dict[str, _Actor] = {}

    def run(self) -> list[Violation]:
        """Set up, give every turn of the order; what was violated."""
        try:
            self._perform_all()
        except InvariantError as error:
            violations = self.machine.violations
            if error.kind in {violation.kind for violation in violations}:
                return violations
            return [*violations, Violation(error.kind, 0, 0, 0, None, str(error), ())]
        return self.machine.violations

    def _perform_all(self) -> None:
        parent = self.machine.spawn()
        setup = _Actor("setup", parent, self.scenario.setup(self._stage), parent)
        while setup.action is not None:
            self._act(setup)
        for name, script in self.scenario.threads.items():
            self._actors[name] = _Actor(name, parent.thread(name), script(self._stage), parent)
        for name in self.scenario.order.split():
            self._turn(self._actors[name])
            self.machine.check()

    def _turn(self, actor: _Actor) -> None:
        while isinstance(actor.action, WaitFor):
            self._act(actor)
        self._act(actor)
        while isinstance(actor.action, Signal):
            self._act(actor)

    def _act(self, actor: _Actor) -> None:
        if actor.action is None:
            raise ValueError(f"{self.scenario.name}: {actor.name} has no turn left")
        result: Any = None
        fault: Fault | None = None
        try:
            result = self._perform(actor, actor.action)
        except Fault as refused:
            fault = refused
        actor.next_action(result, fault)

    def _perform(self, actor: _Actor, action: Action) -> Any:
        """Carry an action out; what it returns."""
        user, dma = actor.user, self.machine.dma
        match action:
            case Mmap(length):
                return user.mmap(length)
            case Load(addr, length):
                return self._noted(actor, user.load(addr, length))
            case Mremap(addr, old_length, new_length):
                return user.mremap(addr, old_length, new_length)
            case DirectRead(addr, length, api, aio):
                way = Direction.FROM_DEVICE
                return dma.start(user, addr, length, direction=way, api=api, aio=aio)
            case DirectWrite(addr, length, api, aio):
                way = Direction.TO_DEVICE
                return dma.start(user, addr, length, direction=way, api=api, aio=aio)
            case Complete(io, data):
                return self._complete(actor, io, data)
            case Register(addr, length, writable, api):
                return dma.register(user, addr, length, writable=writable, api=api)
            case DeviceLoads(io, offset, length):
                return self._noted(actor, io.dma_read(offset, length))
            case _:
                self._do(actor, action)
                return None

    def _do(self, actor: _Actor, action: Action) -> None:
        """Carry out an action that returns nothing."""
        user = actor.user
        match action:
            case Store(addr, data):
                user.store(addr, data)
            case Fork(child):
                self._fork(actor, child)
            case DeviceStores(io, offset, data):
                io.dma_write(offset, data)
            case Release(io):
                io.release()
            case Madvise(addr, length, advice):
                user.madvise(addr, length, advice)
            case Mprotect(addr, length, prot):
                user.mprotect(addr, length, prot)
            case Munmap(addr, length):
                user.munmap(addr, length)
            case Exit():
                actor.process.exit()
            case Signal(name):
                self._signals.add(name)
            case WaitFor(name) if name in self._signals:
                pass
            case _:
                raise ValueError(f"{self.scenario.name}: {actor.name} cannot {action!r} here")

    def _noted(self, actor: _Actor, data: bytes) -> bytes:
        self.seen.append((actor.name, data))
        return data

    def _complete(self, actor: _Actor, io: Transfer, data: bytes) -> bytes:
        read = io.complete(data)
        return self._noted(actor, read) if read else read

    def _fork(self, actor: _Actor, name: str) -> None:
        child = actor.user.fork(name)
        script = self.scenario.children.get(name)
        if script is not None:
            self._actors[name] = _Actor(name, child, script(self._stage), child)
