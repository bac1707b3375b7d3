"""Schedules on real processes: stale translations, forks, and what is seen in the end.

The scenarios of the registry are compared in ``tests/cli/test_live_replay.py``;
here is what they do not do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from tests.common import made_up
from tests.scenario.test_live import EVERYTHING
from uemu.abi import MADV_DONTNEED, PAGE_SIZE
from uemu.explore import Execution, Run, Schedule, explore, replay
from uemu.live.stepped.hardware import LiveHardware
from uemu.scenario.actions import (
    Complete,
    DirectRead,
    Fork,
    Load,
    Madvise,
    Mmap,
    Mremap,
    Register,
    Signal,
    Store,
    WaitFor,
)
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld, SteppedWorld

pytestmark = pytest.mark.needs_ptrace

WorldT = TypeVar("WorldT", bound=SteppedWorld)
Change = Callable[[SteppedWorld], None]
Told = tuple[list[tuple[str, str, str, str]], frozenset[str], str, object, object, object]


def unchanged(world: SteppedWorld) -> None:
    """The kernel as it is."""


def without_flushes(world: SteppedWorld) -> None:
    """Take the TLB flushes out of the kernel."""
    world.kernel.mech.flush_tlb_range = lambda *_: iter(())  # type: ignore[assignment, method-assign]


def told(run: Run, world: SteppedWorld) -> Told:
    """All of a run but the cells it touched."""
    steps = [(r.task_name, r.step.fn, r.step.what, r.state) for r in run.records]
    return steps, run.verdicts, run.message, world.seen, world.shown, world.oracle.violations


class Live:
    """A schedule that was run live, and simulated; both were the same."""

    def __init__(
        self, scenario: Scenario, policy: str, schedule: Sequence[int], change: Change = unchanged
    ) -> None:
        def changed(world: WorldT) -> WorldT:
            change(world)
            return world

        model = changed(SimulatedWorld(scenario, policy))
        expected = told(replay(lambda: model, schedule), model)
        with LiveHardware() as hardware:

            def run() -> tuple[Run, SteppedWorld]:
                world = changed(SteppedWorld(scenario, policy, hardware))
                return replay(lambda: world, schedule), world

            self.run, self.world = hardware.call(run)
            self.tally = hardware.cpus.tally
        assert told(self.run, self.world) == expected


def step_by_step(scenario: Scenario, policy: str, *wishes: tuple[str, str | None]) -> Schedule:
    """Let a task run until it stands before a function's step (None: is through); and so on."""
    left = list(wishes)

    def choose(execution: Execution, runnable: Sequence[int]) -> int:
        names = [task.name for task in execution.tasks]
        while left:
            name, fn = left[0]
            index = names.index(name)
            step = execution.pending[index]
            if step is not None and step.fn != fn:
                return index
            left.pop(0)
        return runnable[0]

    run = Execution(lambda: SimulatedWorld(scenario, policy)).run(choose)
    assert len(left) <= 1  # nobody is asked any more when the last wish is fulfilled
    return run.schedule


# Stale translations -------------------------------------------------------------------------


def _fork(stage: Stage) -> Script:
    yield Fork("child")


def _cpu(stage: Stage) -> Script:
    yield Store(stage.buf, b"0")
    yield Signal("warm")
    yield Store(stage.buf, b"1")


STORE_WHILE_FORKING = made_up("", cpu=_cpu, fork=_fork)


@pytest.mark.parametrize(
    ("until", "stale", "child"),
    [
        ("dup_mmap", 0, b"1"),  # before fork began: the store is the child's too
        ("flush_tlb_others", 1, b"1"),  # write-protected and shared, but not flushed: it still is
        (None, 0, b"0"),  # flushed: it traps, and goes to a copy
    ],
)
def test_a_store_between_fork_and_its_flush_goes_through_the_stale_mapping(
    until: str | None, stale: int, child: bytes
) -> None:
    schedule = step_by_step(
        STORE_WHILE_FORKING,
        "linux-2.6.29",
        ("cpu", "signal"),
        ("fork", until),
        ("cpu", None),
    )
    live = Live(STORE_WHILE_FORKING, "linux-2.6.29", schedule)
    assert live.tally.stale == stale
    buf = live.world.stage.buf
    assert [page.data[:1] for page in live.world.shown if page.base == buf] == [b"1", child]


def _pin_and_fork(stage: Stage) -> Script:
    yield Register(stage.buf, PAGE_SIZE, True, "rdma")
    yield Fork("child")


def _store_both_ends(stage: Stage) -> Script:
    yield Store(stage.buf + 8, b"0")  # a translation that stays
    yield Store(stage.buf, b"1")
    yield Store(stage.buf + PAGE_SIZE - 1, b"2")


def test_a_copy_tears_under_a_stale_mapping_if_nobody_flushes() -> None:
    scenario = made_up("", fork=_pin_and_fork, cpu=_store_both_ends)

    def mutant() -> SimulatedWorld:
        world = SimulatedWorld(scenario, "arcangeli-2009-v2")
        without_flushes(world)
        return world

    torn = explore(mutant).verdicts["torn-fork-copy"].schedule
    live = Live(scenario, "arcangeli-2009-v2", torn, without_flushes)
    assert "torn-fork-copy" in live.run.verdicts
    assert live.tally.stale > 0


def test_it_does_not_tear_with_the_flush() -> None:
    scenario = made_up("", fork=_pin_and_fork, cpu=_store_both_ends)
    schedule = step_by_step(
        scenario,
        "arcangeli-2009-v2",
        ("cpu", "store"),
        ("fork", "copy_one_pte"),
        ("cpu", None),
    )
    live = Live(scenario, "arcangeli-2009-v2", schedule)
    assert live.run.verdicts == frozenset()


# What scenarios can do ------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["linux-2.6.29", "linux-6.5"])
def test_every_action_takes_its_steps(policy: str) -> None:
    live = Live(EVERYTHING, policy, [])
    assert live.world.seen == list(simulate(EVERYTHING, policy).seen)
    assert live.run.verdicts == frozenset()


def _parent(stage: Stage) -> Script:
    new = yield Mremap(stage.buf, PAGE_SIZE, PAGE_SIZE)
    yield Store(new, b"m")
    yield Fork("child")
    other = yield Mmap(PAGE_SIZE)
    yield Load(other, 3)  # the zero page
    yield Store(other + 1, b"z")
    yield Load(other, 3)
    yield Load(new, 2)
    stage.buf = new
    yield Signal("moved")
    yield Madvise(new, PAGE_SIZE, MADV_DONTNEED)
    yield Load(new, 2)


def child(stage: Stage) -> Script:
    """Sees what its parent moved, and forks itself."""
    yield WaitFor("moved")
    yield Load(stage.buf, 2)
    yield Fork("grandchild")
    yield Store(stage.buf, b"c")
    yield Load(stage.buf, 2)


def test_memory_moves_is_mapped_and_dropped_and_children_fork() -> None:
    scenario = made_up("", parent=_parent, child=child)
    live = Live(scenario, "linux-5.19", [])
    assert live.world.seen == [
        ("parent", b"\0\0\0"),
        ("parent", b"\0z\0"),
        ("parent", b"mI"),
        ("parent", b"\0\0"),
        ("child", b"mI"),
        ("child", b"cI"),
    ]
    buf = live.world.stage.buf
    assert [page.data[:2] for page in live.world.shown if page.base == buf] == [
        b"\0\0",
        b"cI",
        b"mI",
    ]


def _io(stage: Stage) -> Script:
    read = yield DirectRead(stage.buf, 512)
    yield WaitFor("godot")
    yield Complete(read, b"D" * 512)


def test_a_run_that_gets_stuck_is_as_stuck_live() -> None:
    live = Live(made_up("", io=_io), "linux-6.5", [])
    assert live.run.verdicts == {"deadlock"}
    assert live.world.shown == []
