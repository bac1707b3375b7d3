"""One run on the simulated MMU, in the canonical order.

A turn is the next action of a thread, run to its end with nothing in between,
with the waits before it and the signals after it. An action that stands
before a step it cannot take is parked and looked at again after every turn:
if it goes on in the end, that is ``fork-blocked``; if not, ``deadlock``.
"""

from __future__ import annotations

from uemu.errors import InvariantError
from uemu.events import Waited
from uemu.mm.hooks import PolicyHooks
from uemu.oracle.violations import Violation
from uemu.scenario.actions import Signal, WaitFor
from uemu.scenario.script import Scenario
from uemu.scenario.tasks import Task
from uemu.scenario.verdict import Verdict
from uemu.scenario.world import SimulatedWorld
from uemu.step import Step


def simulate(scenario: Scenario, policy: str | PolicyHooks) -> Verdict:
    """Run a scenario once under a policy, by name or made by the caller.

    Raises:
        ValueError: the order names a thread too often, or leaves one unfinished.
    """
    return tell(SimulatedWorld(scenario, policy))


def tell(world: SimulatedWorld) -> Verdict:
    """Run a fresh world in the canonical order of its scenario.

    A rule of the emulated kernel that breaks (``livelock``, ``not-exclusive``
    ...) ends the run and is a violation like any other.

    Raises:
        ValueError: the order names a thread too often, or leaves one unfinished.
    """
    turns = _Turns(world)
    ended: tuple[Violation, ...] = ()
    try:
        for name in world.scenario.order.split():
            turns.give(name)
        ended = turns.deadlocks()
        world.finish()
    except InvariantError as error:
        ended = (Violation(error.kind, 0, 0, 0, None, str(error), ()),)
    return Verdict((*world.oracle.violations, *ended), tuple(world.seen))


class _Turns:
    """Who stands where, and who is owed a turn."""

    def __init__(self, world: SimulatedWorld) -> None:
        self.world = world
        self._owed: dict[str, int] = {}
        self._labels: dict[Task, Step | None] = {}
        self._parked: dict[Task, Step] = {}

    def give(self, name: str) -> None:
        """Give a thread a turn, and then those who were parked before."""
        self._owed[name] = self._owed.get(name, 0) + 1
        if not self._take(name):
            return
        while any(self._take(other) for other in list(self._owed)):
            pass

    def deadlocks(self) -> tuple[Violation, ...]:
        """What is still parked when the order is told."""
        unfinished = [task.name for task in self.world.threads() if not task.over]
        if unfinished and not any(self._owed.values()):
            raise ValueError(f"{self._told()} leaves {', '.join(unfinished)} unfinished")
        return tuple(
            Violation("deadlock", task.mm.id, 0, 0, None,
                      f"{task.name} waits for ever in {step.fn}: {step.what}", ())
            for task, step in self._parked.items()
        )  # fmt: skip

    def _told(self) -> str:
        return f"the order {self.world.scenario.order!r} of {self.world.scenario.name}"

    def _take(self, name: str) -> bool:
        """Take a turn that is owed; False if none is, or it cannot be taken to its end."""
        if not self._owed[name]:
            return False
        task = next((task for task in self.world.threads() if task.name == name), None)
        if task is None:
            if self._parked:
                return False  # a fork that has to happen first
            raise ValueError(f"{self._told()} has {name!r} before it is there")
        if task not in self._labels:
            self._labels[task] = next(task.op, None)
        if task.over:
            raise ValueError(f"{self._told()} has {name!r} once too often")
        if not self._run(task):
            return False
        self._owed[name] -= 1
        return True

    def _run(self, task: Task) -> bool:
        acted = task.busy
        while (step := self._labels[task]) is not None:
            if not task.busy:
                if acted and not isinstance(task.action, Signal):
                    return True
                acted = acted or not isinstance(task.action, Signal | WaitFor)
            if not step.is_enabled():
                self._park(task, step)
                return False
            self._unpark(task)
            self._labels[task] = next(task.op, None)
            self.world.check()
        return True

    def _park(self, task: Task, step: Step) -> None:
        if self._parked.get(task) is not step:
            self._parked[task] = step
            self._announce(task, step, done=False)

    def _unpark(self, task: Task) -> None:
        step = self._parked.pop(task, None)
        if step is not None:
            self._announce(task, step, done=True)

    def _announce(self, task: Task, step: Step, *, done: bool) -> None:
        """Tell of a wait inside the kernel; scripts that wait for each other are no news."""
        if not isinstance(task.action, WaitFor):
            event = Waited(task.cpu.name, task.mm.id, step.fn, step.what, done)
            self.world.kernel.events.emit(event)
