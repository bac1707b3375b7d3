"""A script as a task: its actions one after the other, as the steps behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from uemu.errors import Fault
from uemu.mm.mm_struct import MmStruct
from uemu.scenario.actions import Action
from uemu.scenario.script import Script
from uemu.step import Cell, Op, RecordingCpu, Step
from uemu.step.tso import TsoCpu


class TaskWorld(Protocol):
    """The world that a task is of."""

    def make_cpu(self, name: str) -> RecordingCpu:
        """A CPU of the memory model that is asked for."""
        ...

    def perform(self, task: Task, action: Action) -> Op[Any]:
        """The operation behind an action of a task."""
        ...


class Task:
    """One thread: its script as an operation on a CPU of its own.

    Attributes:
        name: the thread's, or the child's.
        cpu: what it runs on.
        mm: the address space it runs in.
        op: the steps of all its actions.
        action: what it does now or next; None before the first and at the end.
        busy: in the middle of an action, between its first step and its last.
        over: it does nothing any more.
        vfork_done: set when a vfork child leaves its parent's mm; None in any other.
    """

    def __init__(self, world: TaskWorld, name: str, mm: MmStruct, script: Script) -> None:
        self.name = name
        self.cpu = world.make_cpu(name)
        self.mm = mm
        self.action: Action | None = None
        self.busy = False
        self.over = False
        self.vfork_done: Cell[bool] | None = None
        self.op: Op[None] = self._steps(world, script)

    def _steps(self, world: TaskWorld, script: Script) -> Op[None]:
        outcome = _Outcome()
        while True:
            try:
                if outcome.fault is not None:
                    self.action = script.throw(outcome.fault)
                else:
                    self.action = script.send(outcome.result)
            except StopIteration:
                self.action = None
                self.over = True
                return
            outcome = _Outcome()
            op = _captured(world, self, self.action, outcome)
            step = next(op, None)
            if step is None:  # refused at once: that takes a step nevertheless
                step = Step(type(self.action).__name__.lower(), "refused")
            yield self.cpu.label(step)
            self.busy = True
            self.cpu.begin_step(step)
            for step in op:
                self.cpu.end_step()
                yield self.cpu.label(step)
                self.cpu.begin_step(step)
            self.cpu.end_step()
            self.busy = False


@dataclass(slots=True)
class _Outcome:
    """How an action ended: what it returned, or the fault it took."""

    result: Any = None
    fault: Fault | None = None


def _captured(world: TaskWorld, task: Task, action: Action, outcome: _Outcome) -> Op[None]:
    try:
        outcome.result = yield from world.perform(task, action)
    except Fault as fault:
        outcome.fault = fault


class StoreBuffer:
    """What drains the stores of a task's CPU; it runs beside the task.

    Attributes: those of a task.
    """

    def __init__(self, task: Task, cpu: TsoCpu) -> None:
        self.name = f"{task.name}'s stores"
        self.cpu = RecordingCpu(self.name)
        self.op = cpu.drain_steps(self.cpu, lambda: task.over)
