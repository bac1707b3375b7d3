"""One run on the simulated MMU, in the canonical order: see `uemu.scenario.turns`."""

from __future__ import annotations

from uemu.errors import InvariantError
from uemu.events import Waited
from uemu.mm.hooks import PolicyHooks
from uemu.oracle.violations import Violation
from uemu.scenario.actions import Signal, WaitFor
from uemu.scenario.script import Scenario
from uemu.scenario.tasks import Task
from uemu.scenario.turns import Turns, Went
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
    actors: dict[str, _Actor] = {}
    turns = Turns(world.scenario, actors)
    ended: tuple[Violation, ...] = ()
    try:
        _enter(world, actors)
        for name in world.scenario.order.split():
            turns.give(name)
        ended = turns.deadlocks()
        world.finish()
    except InvariantError as error:
        ended = (Violation(error.kind, 0, 0, 0, None, error.message, ()),)
    return Verdict((*world.oracle.violations, *ended), tuple(world.seen))


def _enter(world: SimulatedWorld, actors: dict[str, _Actor]) -> None:
    """Let the tasks act that are new."""
    for task in world.threads():
        if task.name not in actors:
            actors[task.name] = _Actor(world, task, actors)


class _Actor:
    """A task, and where it stands."""

    def __init__(self, world: SimulatedWorld, task: Task, actors: dict[str, _Actor]) -> None:
        self._world = world
        self._task = task
        self._actors = actors
        self._label: Step | None = next(task.op, None)
        self._parked: Step | None = None
        self._waited: Step | None = None

    @property
    def mm(self) -> int:
        """Its address space."""
        return self._task.mm.id

    @property
    def over(self) -> bool:
        """Whether its script has come to its end."""
        return self._label is None

    @property
    def waits_for(self) -> str | None:
        """The step it stands before and cannot take."""
        return f"{self._parked.fn}: {self._parked.what}" if self._parked is not None else None

    def go_on(self) -> Went:
        """Take steps until the turn is over, or one is not enabled."""
        went, task = Went.NOWHERE, self._task
        acted = task.busy
        while (step := self._label) is not None:
            if not task.busy:
                if acted and not isinstance(task.action, Signal):
                    break
                acted = acted or not isinstance(task.action, Signal | WaitFor)
            if not step.is_enabled():
                self._park(step)
                break
            self._take_step()
            went = Went.SOME_WAY
        _enter(self._world, self._actors)
        return went if self._parked is not None else Went.THROUGH

    def _take_step(self) -> None:
        if self._parked is not None:
            self._waited, self._parked = self._parked, None
        try:
            self._label = next(self._task.op, None)
            self._world.check()
        except InvariantError:
            self._tell_of_wait()
            raise
        if not self._task.busy:
            self._tell_of_wait()

    def _park(self, step: Step) -> None:
        self._tell_of_wait()
        if self._parked is not step:
            self._parked = step
            self._announce(step, done=False)

    def _tell_of_wait(self) -> None:
        """An operation that waited has come to its end, or to where it waits again."""
        step, self._waited = self._waited, None
        if step is not None:
            self._announce(step, done=True)

    def _announce(self, step: Step, *, done: bool) -> None:
        """Tell of a wait inside the kernel; scripts that wait for each other are no news."""
        if step.fn not in ("wait_for", "wait_for_vfork_done"):
            event = Waited(self._task.cpu.name, self._task.mm.id, step.fn, step.what, done)
            self._world.kernel.events.emit(event)
