"""One execution: priming, waiting, creation, and the four ways to end."""

from __future__ import annotations

import errno
from collections.abc import Sequence

import pytest

from tests.explore.toys import (
    Toy,
    endless,
    locked_counter,
    message,
    philosophers,
    racy_counter,
    spawning,
    stubborn_error,
    toy,
)
from uemu.errors import Fault, InvariantError
from uemu.explore import Execution, Run
from uemu.explore.execution import Chooser
from uemu.step import Op, RecordingCpu, Step


def lowest(execution: Execution, runnable: Sequence[int]) -> int:
    return runnable[0]


def following(*schedule: int) -> Chooser:
    return lambda execution, runnable: schedule[execution.steps]


def test_records_who_did_what_to_which_cells() -> None:
    run = Execution(toy(message)).run(lowest)
    first, second, third, fourth = run.records
    assert [record.index for record in run.records] == [0, 1, 2, 3]
    assert (first.task_index, first.task_name) == (0, "writer")
    assert (first.step.fn, first.step.what) == ("write", "box")
    assert (first.reads, first.writes) == (frozenset(), frozenset({("box",)}))
    assert second.state == "box=1 flag=1"
    assert second.writes == {("flag",)}
    assert third.task_name == "reader"
    assert third.reads == {("flag",)}
    assert fourth.state == "box=1 flag=1 [('reader', [11])]"
    assert (str(run.schedule), run.verdicts, run.message) == ("uemu1:0011", frozenset(), "")


def test_the_last_step_of_a_task_is_recorded_too() -> None:
    run = Execution(toy(racy_counter)).run(following(0, 1, 1, 0))
    assert run.records[-1].writes == {("n",)}
    assert run.verdicts == {"lost-update"}


def test_a_task_that_waits_is_not_runnable() -> None:
    execution = Execution(toy(locked_counter))
    assert execution.runnable() == [0, 1]
    execution.advance(1)
    assert execution.runnable() == [1]
    execution.advance(1)
    execution.advance(1)
    assert execution.runnable() == [0]
    assert not execution.is_finished()


def test_a_record_keeps_the_label_and_not_its_condition() -> None:
    run = Execution(toy(locked_counter)).run(lowest)
    assert run.records[0].step == Step("lock", "n")


def test_a_new_task_is_primed_when_it_appears() -> None:
    execution = Execution(toy(spawning))
    assert execution.runnable() == [0, 1]
    execution.advance(0)
    assert execution.runnable() == [0, 1, 2]
    label = execution.pending[2]
    assert label is not None
    assert label.fn == "child"


def test_what_priming_touches_is_not_lost() -> None:
    # The child breaks rule R2: it looks before its first label. Its creator answers for it.
    def fill(world: Toy) -> None:
        x = world.cell("x")

        def child(cpu: RecordingCpu) -> Op[None]:
            cpu.read(x)
            yield Step("child", "")

        def parent(cpu: RecordingCpu) -> Op[None]:
            cpu.read(x)
            yield Step("spawn", "")
            world.spawn("child", child)

        world.spawn("parent", parent)

    spawn, child = Execution(toy(fill)).run(lowest).records
    assert spawn.task_name == "parent"
    assert spawn.reads == {("x",)}
    assert (child.task_name, child.reads) == ("child", frozenset())


def test_a_task_without_a_step_is_through_at_once() -> None:
    def fill(world: Toy) -> None:
        def body(cpu: RecordingCpu) -> Op[None]:
            yield from ()

        world.spawn("idle", body)

    run = Execution(toy(fill)).run(lowest)
    assert (run.records, run.verdicts) == ((), frozenset())


def test_deadlock_is_a_verdict_beside_those_of_the_world() -> None:
    def fill(world: Toy) -> None:
        philosophers(world)
        world.judge = lambda: frozenset({"hungry"})

    run = Execution(toy(fill)).run(following(0, 1))
    assert run.verdicts == {"deadlock", "hungry"}


def test_an_error_after_a_step_ends_the_execution() -> None:
    run = Execution(toy(stubborn_error)).run(lowest)
    assert run.verdicts == {"too-many"}
    assert run.message == "x is 2"
    assert run.records[-1].state == "x=2"


def test_an_error_inside_a_step_ends_the_execution() -> None:
    assert _failing(InvariantError("torn", "half written")).verdicts == {"torn"}


def test_an_error_in_the_last_judgement_is_a_verdict() -> None:
    def fill(world: Toy) -> None:
        def judge() -> frozenset[str]:
            raise InvariantError("leak", "one is left")

        world.judge = judge

    assert Execution(toy(fill)).run(lowest).verdicts == {"leak"}


def test_a_fault_nobody_catches_goes_up() -> None:
    with pytest.raises(Fault, match="EFAULT at 0x1000"):
        _failing(Fault(errno.EFAULT, 0x1000))


def test_more_than_so_many_steps_is_a_livelock() -> None:
    run = Execution(toy(endless)).run(lowest, max_steps=5)
    assert run.verdicts == {"livelock"}
    assert len(run.records) == 5


def test_exactly_so_many_steps_is_none() -> None:
    run = Execution(toy(racy_counter)).run(lowest, max_steps=4)
    assert (run.verdicts, len(run.records)) == (frozenset(), 4)


def test_rewind_notices_another_error() -> None:
    with pytest.raises(InvariantError, match=r"nondeterminism: the first 2 steps .* too-many"):
        Execution(toy(stubborn_error)).rewind([0, 1], [])


def test_rewind_notices_other_runnable_tasks() -> None:
    with pytest.raises(InvariantError, match=r"tasks \[0\] can run, before it was \[0, 1\]"):
        Execution(toy(locked_counter)).rewind([0], [0, 1])


def _failing(error: Exception) -> Run:
    def fill(world: Toy) -> None:
        def body(cpu: RecordingCpu) -> Op[None]:
            yield Step("fail", "")
            raise error

        world.spawn("one", body)

    return Execution(toy(fill)).run(lowest)
