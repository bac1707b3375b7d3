"""A scenario as a world of tasks: what they share, where they stand, what is checked."""

from __future__ import annotations

import pytest

from tests.common import exists, made_up
from tests.each import each
from tests.explore.toys import explore_ends
from uemu.abi import MADV_DONTFORK, PAGE_SIZE, PROT_READ
from uemu.errors import Fault, InvariantError
from uemu.explore import Execution, check_deterministic, explore, replay
from uemu.policy.registry import POLICIES
from uemu.scenario.actions import (
    Complete,
    DeviceLoads,
    DeviceStores,
    DirectRead,
    Exec,
    Exit,
    Fork,
    Load,
    Madvise,
    Mmap,
    Mprotect,
    Munmap,
    Register,
    Release,
    Signal,
    Spawn,
    Store,
    Vfork,
    WaitFor,
)
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.simulate import simulate
from uemu.scenario.tasks import Task
from uemu.scenario.world import SimulatedWorld
from uemu.step import Access


def one_turn(task: Task) -> None:
    """Run a task that stands before an action to the end of that action."""
    next(task.op, None)
    while task.busy:
        next(task.op, None)


def start(task: Task) -> None:
    """Let a task stand before its first step."""
    next(task.op, None)


@each("policy", POLICIES)
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_order_does_the_same_twice(name: str, policy: str) -> None:
    if not exists(name, policy):
        return
    check_deterministic(lambda: SimulatedWorld(SCENARIOS[name], policy), [])


@each("name", SCENARIOS)
def test_nothing_is_touched_while_the_world_is_made_or_its_tasks_begin(name: str) -> None:
    execution = Execution(lambda: SimulatedWorld(SCENARIOS[name], "linux-6.5"))
    for task in execution.tasks:
        assert task.cpu.take_accesses() == Access()


def test_tasks_are_the_threads_and_a_fork_adds_the_child() -> None:
    world = SimulatedWorld(SCENARIOS["lost-read"], "linux-2.6.29")
    assert [task.name for task in world.threads()] == ["io", "fork", "cpu"]
    fork = world.threads()[1]
    start(fork)
    one_turn(fork)
    assert [task.name for task in world.threads()] == ["io", "fork", "cpu", "child"]
    child = world.threads()[3]
    assert child.mm is not fork.mm
    assert child.cpu.name == "child"
    assert fork.over


def test_a_child_without_a_script_exists_and_is_no_task() -> None:
    world = SimulatedWorld(SCENARIOS["lost-read-no-child-write"], "linux-2.6.29")
    fork = world.threads()[1]
    start(fork)
    one_turn(fork)
    assert len(world.threads()) == 3
    assert [mm.name for mm in world.kernel.mech.mms.values()] == ["parent", "child"]


def test_each_task_has_a_cpu_and_only_the_first_is_warm() -> None:
    world = SimulatedWorld(SCENARIOS["lost-read"], "linux-2.6.29")
    io, fork, cpu = world.threads()
    assert len({io.cpu.name, fork.cpu.name, cpu.cpu.name}) == 3
    mm, buf = io.mm, world.stage.buf
    for task, touched in ((io, {"tlb"}), (cpu, {"tlb", "pte"})):
        world.kernel.mmu.translate(task.cpu, mm, buf, write=True)  # type: ignore[attr-defined]
        reads = task.cpu.take_accesses().reads
        assert {name[0] for name in reads} == touched


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("linux-2.6.29", ["0: 1/1 1/1", "0: 2/1 1/1", "0: 3/2 2/2", "2: 2/1 2/2 1/1"]),
        ("arcangeli-2009-v2", ["0: 1/1 1/1", "0: 2/1g 1/1", "0: 2/1g 2/2 1/1", "0: 2/1g 2/2 1/1"]),
        ("linux-5.19", ["0: 1/1e 1/1e", "0: 2/1e 1/1e", "0: 3/2 2/2", "2: 2/1 2/2 1/1e"]),
        (
            "linux-6.5",
            ["0: 1/1e 1/1e", "0: 1+p/1e 1/1e", "0: 1+p/1e 2/2 1/1e", "0: 1+p/1e 2/2 1/1e"],
        ),
    ],
)
def test_the_state_shows_the_parents_frame_and_every_count(name: str, states: list[str]) -> None:
    world = SimulatedWorld(SCENARIOS["lost-read-no-child-write"], name)
    io, fork, cpu = world.threads()
    seen = [world.state()]
    for task in (io, fork, cpu):
        start(task)
        one_turn(task)
        seen.append(world.state())
    assert seen == states


def test_frames_that_are_gone_and_pages_that_are_not_mapped_show_as_a_dash() -> None:
    def cpu(stage: Stage) -> Script:
        yield Munmap(stage.buf, PAGE_SIZE)

    world = SimulatedWorld(made_up("cpu", cpu=cpu), "linux-2.6.29")
    (task,) = world.threads()
    start(task)
    one_turn(task)
    assert world.state() == "-: - 1/1"


def test_two_pins_and_the_zero_page_show() -> None:
    def cpu(stage: Stage) -> Script:
        stage.buf = yield Mmap(PAGE_SIZE)
        yield Load(stage.buf, 1)
        yield Store(stage.buf, b"x")
        for _ in range(2):
            yield Register(stage.buf, 512, True, "rdma")

    world = SimulatedWorld(
        Scenario("made-up", "", lambda stage: iter_nothing(), {"cpu": cpu}, {}, ""), "linux-5.19"
    )
    (task,) = world.threads()
    start(task)
    states = []
    while not task.over:
        one_turn(task)
        states.append(world.state())
    assert states == ["-: ", "0: zero", "1: zero 1/1e", "1: zero 1+p/1e", "1: zero 1+2p/1e"]


def iter_nothing() -> Script:
    """A script without an action."""
    return
    yield


def test_a_fault_is_thrown_into_the_script_which_goes_on() -> None:
    caught = []

    def cpu(stage: Stage) -> Script:
        for refused in (
            Load(0x10, 1),
            Munmap(stage.buf + 1, PAGE_SIZE),
            DirectRead(stage.buf + 1, 512),
            Mprotect(stage.buf, 3 * PAGE_SIZE, PROT_READ),
        ):
            try:
                yield refused
            except Fault as fault:
                caught.append(fault.errno)
        yield Store(stage.buf, b"P")

    verdict = simulate(made_up("cpu " * 5, cpu=cpu), "linux-6.5")
    assert caught == [14, 22, 22, 12]
    assert verdict.kinds == frozenset()


def test_a_fault_that_the_script_does_not_expect_goes_up() -> None:
    def cpu(stage: Stage) -> Script:
        yield Load(0x10, 1)

    with pytest.raises(Fault):
        simulate(made_up("cpu", cpu=cpu), "linux-6.5")


def test_a_refused_action_is_one_step() -> None:
    def cpu(stage: Stage) -> Script:
        with pytest.raises(Fault):
            yield Munmap(stage.buf + 1, 1)
        yield Exit()

    run = replay(lambda: SimulatedWorld(made_up("", cpu=cpu), "linux-6.5"), [])
    assert [record.step.fn for record in run.records][:2] == ["munmap", "exit_mmap"]
    assert run.records[0].step.what == "refused"


def test_a_wait_is_a_step_that_is_not_enabled_before_the_signal() -> None:
    def first(stage: Stage) -> Script:
        yield WaitFor("go")

    def second(stage: Stage) -> Script:
        yield Signal("go")

    made = made_up("second first", first=first, second=second)
    execution = Execution(lambda: SimulatedWorld(made, "linux-6.5"))
    assert execution.runnable() == [1]
    execution.advance(1)
    assert execution.take_accesses(1)[1] == {("signal", "go")}
    assert execution.runnable() == [0]
    execution.advance(0)
    assert execution.take_accesses(0)[0] == {("signal", "go")}
    assert execution.finish() == frozenset()


def test_a_wait_for_nobody_is_a_deadlock() -> None:
    def cpu(stage: Stage) -> Script:
        yield WaitFor("godot")

    made = made_up("cpu", cpu=cpu)
    assert replay(lambda: SimulatedWorld(made, "linux-6.5"), []).verdicts == {"deadlock"}
    assert simulate(made, "linux-6.5").kinds == {"deadlock"}


def test_invariants_are_strict_only_when_nobody_is_inside_an_action() -> None:
    world = SimulatedWorld(SCENARIOS["lost-read"], "linux-2.6.29")
    io = world.threads()[0]
    start(io)
    world.check()
    next(io.op)
    next(io.op)
    page = world.kernel.mech.pages[0]
    page.refcount.value += 1  # as if in transit
    world.check()
    page.refcount.value -= 1
    while io.busy:
        next(io.op)
    page.refcount.value += 1
    with pytest.raises(InvariantError, match="refcount-leak"):
        world.check()


def test_what_nobody_gave_back_shows_at_the_end() -> None:
    def cpu(stage: Stage) -> Script:
        yield Store(stage.buf, b"P")

    world = SimulatedWorld(made_up("cpu", cpu=cpu), "linux-2.6.29")
    (task,) = world.threads()
    start(task)
    one_turn(task)
    world.kernel.mech.pages[1].refcount.value += 1
    with pytest.raises(InvariantError, match="refcount-leak"):
        world.finish()


def test_io_that_is_never_completed_is_no_leak() -> None:
    def io(stage: Stage) -> Script:
        yield DirectRead(stage.buf, 512)

    assert simulate(made_up("io", io=io), "linux-6.5").kinds == frozenset()


def test_a_process_ends_with_its_last_thread_only() -> None:
    def leaver(stage: Stage) -> Script:
        yield Exit()

    def stayer(stage: Stage) -> Script:
        yield Store(stage.buf, b"P")

    with pytest.raises(ValueError, match="while its other threads run"):
        simulate(made_up("leaver stayer", leaver=leaver, stayer=stayer), "linux-6.5")
    made = made_up("stayer leaver", leaver=leaver, stayer=stayer)
    assert simulate(made, "linux-6.5").kinds == frozenset()


def test_what_is_no_action_is_refused() -> None:
    def cpu(stage: Stage) -> Script:
        yield "store"  # type: ignore[misc]

    with pytest.raises(TypeError, match="cpu yields 'store', which is no action"):
        simulate(made_up("cpu", cpu=cpu), "linux-6.5")


def test_every_action_does_what_it_says() -> None:
    got = []

    def cpu(stage: Stage) -> Script:
        memory = yield Register(stage.buf, PAGE_SIZE, True, "rdma")
        yield DeviceStores(memory, 3, b"abc")
        got.append((yield DeviceLoads(memory, 2, 5)))
        yield Release(memory)
        yield Madvise(stage.buf, PAGE_SIZE, MADV_DONTFORK)
        yield Fork("child")
        got.append((yield Load(stage.buf + 2, 5)))
        other = yield Mmap(PAGE_SIZE)
        yield Store(other, b"x")
        yield Mprotect(other, PAGE_SIZE, PROT_READ)
        with pytest.raises(Fault):
            yield Store(other, b"y")
        got.append((yield Load(other, 1)))
        read = yield DirectRead(stage.buf, 512)
        got.append((yield Complete(read)))

    def child(stage: Stage) -> Script:
        with pytest.raises(Fault):
            yield Load(stage.buf, 1)
        yield Exit()

    made = made_up("cpu " * 14 + "child child", cpu=cpu, child=child)
    verdict = simulate(made, "linux-6.5")
    assert got == [b"IabcI", b"IabcI", b"x", b""]
    seen = (("cpu", b"IabcI"), ("cpu", b"IabcI"), ("cpu", b"x"), ("child", None))
    assert verdict.seen == seen
    assert verdict.kinds == frozenset()


def test_only_a_transfer_is_completed() -> None:
    def cpu(stage: Stage) -> Script:
        memory = yield Register(stage.buf, PAGE_SIZE, True, "rdma")
        yield Complete(memory)

    with pytest.raises(TypeError, match="which is no transfer"):
        simulate(made_up("cpu cpu", cpu=cpu), "linux-6.5")


# vfork -----------------------------------------------------------------------------------


def _vfork(stage: Stage) -> Script:
    yield Vfork("child")


def _load(stage: Stage) -> Script:
    yield Load(stage.buf, 1)


def _store_and_exec(stage: Stage) -> Script:
    yield Store(stage.buf, b"C")
    yield Exec()


def test_a_vfork_child_is_a_task_in_its_parents_mm_as_long_as_it_likes() -> None:
    world = SimulatedWorld(made_up("", fork=_vfork, cpu=_load, child=_store_and_exec), "linux-6.5")
    fork = world.threads()[0]
    start(fork)
    next(fork.op)
    child = world.threads()[2]
    assert (child.name, child.mm is fork.mm) == ("child", True)
    cpus = world.kernel.mmu.cpus_of(fork.mm.id)
    assert [cpu.name for cpu in cpus] == ["fork", "cpu", "child"]
    start(child)
    one_turn(child)
    one_turn(child)
    assert child.over
    assert [cpu.name for cpu in world.kernel.mmu.cpus_of(fork.mm.id)] == ["fork", "cpu"]
    assert len(world.kernel.mech.mms) == 1


@pytest.mark.parametrize("end", [Exec(), Exit()])
def test_the_parent_waits_in_vfork_and_that_is_no_violation(end: Exec | Exit) -> None:
    def fork(stage: Stage) -> Script:
        yield Vfork("child")
        yield Load(stage.buf, 1)

    def child(stage: Stage) -> Script:
        yield Store(stage.buf, b"C")
        yield end

    verdict = simulate(made_up("fork fork child child", fork=fork, child=child), "linux-6.5")
    assert verdict.seen == (("fork", b"C"),)
    assert verdict.kinds == frozenset()


def test_a_vfork_child_that_never_ends_is_a_deadlock() -> None:
    def child(stage: Stage) -> Script:
        yield WaitFor("godot")
        yield Exec()

    verdict = simulate(made_up("fork child", fork=_vfork, child=child), "linux-6.5")
    assert verdict.kinds == {"deadlock"}


def test_a_vfork_child_without_a_script_is_refused() -> None:
    with pytest.raises(ValueError, match="child has no script"):
        simulate(made_up("fork", fork=_vfork), "linux-6.5")


def test_only_a_vfork_child_leaves_its_parents_memory() -> None:
    def child(stage: Stage) -> Script:
        yield Exec()

    def fork(stage: Stage) -> Script:
        yield Fork("child")

    with pytest.raises(ValueError, match="child is no child of vfork"):
        simulate(made_up("fork child", fork=fork, child=child), "linux-6.5")


def test_posix_spawn_takes_one_turn_and_touches_no_page() -> None:
    def cpu(stage: Stage) -> Script:
        yield Spawn()
        yield Load(stage.buf, 1)

    assert simulate(made_up("cpu cpu", cpu=cpu), "linux-2.6.29").seen == (("cpu", b"I"),)


def test_reduction_leaves_out_no_end_of_vfork_and_exec_beside_a_fork() -> None:
    """The child's CPU comes and goes, and a fork asks which CPUs to flush."""

    def fork(stage: Stage) -> Script:
        yield Fork("other")

    world = made_up("", vfork=_vfork, fork=fork, child=_store_and_exec)
    every, all_ends = explore_ends(lambda: SimulatedWorld(world, "linux-2.6.29"), reduction=False)
    found, ends = explore_ends(lambda: SimulatedWorld(world, "linux-2.6.29"), reduction=True)
    assert every.exhaustive
    assert found.exhaustive
    assert every.verdicts == found.verdicts == {}
    assert ends == all_ends
    assert found.schedules < every.schedules


@pytest.mark.parametrize("scenario", ["swap-out-while-pinned", "reclaim-vs-gup-fast"])
def test_swap_whose_stores_wait_is_no_leak(scenario: str) -> None:
    """Under x86-TSO a slot, its page and its entries agree when the stores are seen."""
    found = explore(
        lambda: SimulatedWorld(SCENARIOS[scenario], "linux-4.19", tso=True), max_schedules=60
    )
    assert found.steps > 1000
    assert "refcount-leak" not in found.verdicts
