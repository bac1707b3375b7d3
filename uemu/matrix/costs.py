"""What a run costs, counted: copies, flushes, faults, atomics, waits, frames.

Counted is what the scenario's own tasks do: neither its setup nor the end of
its processes. Most of it are events. What gup-fast executes is noted by the
CPUs, which look at the call stack as a profiler would: all that is executed
inside `lockless_pages_from_mm` counts, with what a policy does there before
interrupts go off and after they are on again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

from uemu.events import (
    FaultTaken,
    ForkCopyBegan,
    MmId,
    PageCopied,
    PageFreed,
    PteSet,
    TlbFlushed,
    Waited,
)
from uemu.explore import Schedule
from uemu.mm.gup import lockless_pages_from_mm
from uemu.mm.hooks import PolicyHooks
from uemu.scenario.actions import Fork
from uemu.scenario.script import Scenario
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cell, RecordingCpu, Step

T = TypeVar("T")

MIGRATION = "migrate_page_copy"
"""Who copies a page and breaks no COW; all others do, under a name of each kernel's."""


@dataclass(slots=True)
class Costs:
    """What one run took.

    Attributes:
        fork_copies: pages that fork copied for a child.
        cow_copies: pages that write faults and get_user_pages copied.
        tlb_flushes: IPIs that made another CPU drop translations.
        faults: CPU accesses that trapped.
        gup_fast_atomics: locked instructions inside gup-fast.
        gup_fast_barriers: full memory barriers inside gup-fast.
        fork_waited: steps that others took while a fork stood before one that it
            could not take.
        peak_frames: page frames in use at the same time, at most; the zero page
            is nobody's.
    """

    fork_copies: int = 0
    cow_copies: int = 0
    tlb_flushes: int = 0
    faults: int = 0
    gup_fast_atomics: int = 0
    gup_fast_barriers: int = 0
    fork_waited: int = 0
    peak_frames: int = 0

    def as_json(self) -> dict[str, int]:
        """The figures by name."""
        return asdict(self)


class MeasuredWorld(SimulatedWorld):
    """A scenario whose steps are noted and whose costs are counted.

    Attributes:
        costs: of what the tasks did so far.
        steps: who took each step so far, as the index of a task.
    """

    def __init__(self, scenario: Scenario, policy: str | PolicyHooks) -> None:
        self.costs = Costs()
        self.steps: list[int] = []
        self._counting = False
        super().__init__(scenario, policy)
        self._in_use: set[int] = set()
        self._parked: dict[str, int] = {}
        events = self.kernel.events
        events.subscribe(PageCopied, self._copied)
        events.subscribe(ForkCopyBegan, self._copy_began)
        events.subscribe(PageFreed, self._in_use.discard)
        events.subscribe(PteSet, self._pte_set)
        events.subscribe(TlbFlushed, self._flushed)
        events.subscribe(FaultTaken, self._trapped)
        events.subscribe(Waited, self._waited)
        self._counting = True
        for pfn in self.kernel.mech.pages:
            self._use(pfn)

    @property
    def schedule(self) -> Schedule:
        """The order of the steps so far."""
        return Schedule(self.steps)

    def make_cpu(self, name: str) -> RecordingCpu:
        """A CPU that tells what it executes."""
        return MeasuringCpu(name, self)

    def finish(self) -> frozenset[str]:
        """As ever, and uncounted."""
        self.stop()
        return super().finish()

    def stop(self) -> None:
        """Count nothing from now on; a fork that still waits has waited until here."""
        for cpu in list(self._parked):
            self._goes_on(cpu)
        self._counting = False

    # What CPUs tell ----------------------------------------------------------------------

    def takes_step(self, cpu: RecordingCpu) -> None:
        """Note who takes a step."""
        if self._counting:
            self._goes_on(cpu.name)
            tasks = self.threads()
            self.steps.append(next(at for at, task in enumerate(tasks) if task.cpu is cpu))

    def executes(self, *, barrier: bool) -> None:
        """Count a barrier or a locked instruction, if it is gup-fast's."""
        if self._counting and _is_running(lockless_pages_from_mm):
            self.costs.gup_fast_barriers += barrier
            self.costs.gup_fast_atomics += not barrier

    # Events ------------------------------------------------------------------------------

    def _copied(self, cpu: str, mm: MmId, base: int, src: int, dst: int, fn: str) -> None:
        if self._counting:
            forks = self._forks(cpu)
            self.costs.fork_copies += forks
            self.costs.cow_copies += not forks and fn != MIGRATION
            self._use(dst)

    def _copy_began(self, cpu: str, mm: MmId, base: int, src: int, dst: int, data: bytes) -> None:
        self._use(dst)

    def _pte_set(
        self, cpu: str, mm: MmId, base: int, old_pfn: int | None, pfn: int | None, write: bool
    ) -> None:
        if pfn is not None:
            self._use(pfn)

    def _flushed(self, cpu: str, mm: MmId, target: str, start: int, end: int) -> None:
        self.costs.tlb_flushes += self._counting

    def _trapped(self, cpu: str, mm: MmId, addr: int, write: bool) -> None:
        self.costs.faults += self._counting

    def _waited(self, cpu: str, mm: MmId, fn: str, what: str, done: bool) -> None:
        # That it is done is told at the end of the call: when it went on, a step tells.
        if not done and self._forks(cpu):
            self._parked[cpu] = len(self.steps)

    def _goes_on(self, cpu: str) -> None:
        now = len(self.steps)
        self.costs.fork_waited += now - self._parked.pop(cpu, now)

    def _use(self, pfn: int) -> None:
        if self._counting and not self.kernel.mech.pages[pfn].reserved:
            self._in_use.add(pfn)
            self.costs.peak_frames = max(self.costs.peak_frames, len(self._in_use))

    def _forks(self, cpu: str) -> bool:
        return any(
            task.cpu.name == cpu and isinstance(task.action, Fork) for task in self.threads()
        )


class MeasuringCpu(RecordingCpu):
    """A CPU that tells a world of its steps, its locked instructions and its barriers."""

    __slots__ = ("_world",)

    def __init__(self, name: str, world: MeasuredWorld) -> None:
        super().__init__(name)
        self._world = world

    def begin_step(self, step: Step) -> None:
        self._world.takes_step(self)

    def rmw(self, cell: Cell[T], f: Callable[[T], T]) -> T:
        self._world.executes(barrier=False)
        return super().rmw(cell, f)

    def add(self, cell: Cell[int], n: int) -> int:
        self._world.executes(barrier=False)
        return super().add(cell, n)

    def count(self, cell: Cell[int], n: int) -> None:
        self._world.executes(barrier=False)
        super().count(cell, n)

    def mb(self) -> None:
        self._world.executes(barrier=True)


def _is_running(function: Callable[..., object]) -> bool:
    """Whether a function is on the call stack; a generator is while it is resumed."""
    code, frame = function.__code__, sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code is code:
            return True
    return False
