"""Exploring: what is counted, when it stops, and what it then claims."""

from __future__ import annotations

import errno

import pytest

from tests.explore.toys import (
    Toy,
    endless,
    hidden_behind_error,
    philosophers,
    racy_counter,
    strangers,
    toy,
)
from uemu.errors import Fault, InvariantError
from uemu.explore import explore
from uemu.step import Op, RecordingCpu, Step


def test_counts() -> None:
    found = explore(toy(racy_counter), reduction=False)
    assert (found.schedules, found.redundant, found.executions) == (6, 0, 6)
    assert (found.steps, found.deepest) == (24, 4)
    assert found.exhaustive
    assert not found.interrupted


def test_counts_what_is_given_up_apart() -> None:
    found = explore(toy(hidden_behind_error))
    # 00, 01 and no further, 1.
    assert (found.schedules, found.redundant, found.executions) == (2, 1, 3)
    assert (found.steps, found.deepest) == (5, 2)


@pytest.mark.parametrize("reduction", [True, False])
def test_keeps_the_first_run_of_each_verdict(reduction: bool) -> None:
    found = explore(toy(racy_counter), reduction=reduction)
    (run,) = found.verdicts.values()
    assert str(run.schedule) == "uemu1:0101"
    assert run.verdicts == {"lost-update"}
    assert [record.state for record in run.records] == ["n=0", "n=0", "n=1", "n=1"]


def test_no_verdict_no_run() -> None:
    found = explore(toy(strangers))
    assert (found.verdicts, found.exhaustive) == ({}, True)


def test_a_bound_is_no_proof() -> None:
    found = explore(toy(racy_counter), reduction=False, max_schedules=5)
    assert (found.schedules, found.exhaustive) == (5, False)


def test_the_bound_counts_what_is_given_up() -> None:
    found = explore(toy(hidden_behind_error), max_schedules=2)
    assert (found.schedules, found.redundant, found.exhaustive) == (1, 1, False)


@pytest.mark.parametrize("reduction", [True, False])
def test_a_bound_on_time_is_no_proof_unless_it_is_not_met(reduction: bool) -> None:
    found = explore(toy(racy_counter), reduction=reduction, max_seconds=1e-9)
    assert (found.schedules, found.complete, found.exhaustive) == (1, False, False)
    found = explore(toy(racy_counter), reduction=reduction, max_seconds=1e9)
    assert (found.complete, found.exhaustive) == (True, True)


def test_stops_at_the_first_verdict() -> None:
    found = explore(toy(racy_counter), reduction=False, stop_at_first=True)
    assert (found.schedules, list(found.verdicts), found.exhaustive) == (2, ["lost-update"], False)


def test_stops_at_the_first_wanted_verdict() -> None:
    factory = toy(hidden_behind_error)
    found = explore(factory, reduction=False, stop_at_first=True, wanted=["early", "other"])
    assert (found.schedules, list(found.verdicts)) == (3, ["certain", "early"])


def test_stops_when_all_wanted_verdicts_were_seen() -> None:
    found = explore(toy(hidden_behind_error), reduction=False, wanted={"certain"})
    assert (found.schedules, found.exhaustive) == (1, False)
    found = explore(toy(hidden_behind_error), reduction=False, wanted="early")
    assert found.schedules == 3


@pytest.mark.parametrize("reduction", [True, False])
def test_a_wish_that_does_not_come_true_is_decided(reduction: bool) -> None:
    found = explore(toy(racy_counter), reduction=reduction, wanted="deadlock")
    assert found.exhaustive


@pytest.mark.parametrize("reduction", [True, False])
def test_a_livelock_is_a_verdict_and_no_proof(reduction: bool) -> None:
    found = explore(toy(endless), reduction=reduction, max_steps=20)
    assert (list(found.verdicts), found.exhaustive, found.deepest) == (["livelock"], False, 20)


def test_tells_how_far_it_is() -> None:
    told: list[int] = []
    explore(toy(racy_counter, 4), progress=told.append)
    assert told == [100, 200, 300, 400, 500]


def test_ctrl_c_yields_what_there_is() -> None:
    def press(executions: int) -> None:
        raise KeyboardInterrupt

    found = explore(toy(racy_counter, 4), progress=press)
    assert (found.schedules, found.interrupted, found.exhaustive) == (100, True, False)
    assert list(found.verdicts) == ["lost-update"]


@pytest.mark.parametrize("reduction", [True, False])
def test_ctrl_c_in_the_middle_of_a_step(reduction: bool) -> None:
    left = [50]

    def fill(world: Toy) -> None:
        def press() -> None:
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt

        philosophers(world, 3)
        world.rule = press

    found = explore(toy(fill), reduction=reduction)
    assert (found.interrupted, found.exhaustive) == (True, False)
    assert found.schedules > 0


def test_a_fault_nobody_catches_goes_up() -> None:
    def fill(world: Toy) -> None:
        def body(cpu: RecordingCpu) -> Op[None]:
            yield Step("fail", "")
            raise Fault(errno.EFAULT, 0x1000)

        world.spawn("one", body)

    with pytest.raises(Fault):
        explore(toy(fill))


def test_a_world_that_differs_is_found() -> None:
    made = [0]

    def fill(world: Toy) -> None:
        made[0] += 1
        verdict = frozenset({f"made-{made[0]}"})
        racy_counter(world)
        world.judge = lambda: verdict

    with pytest.raises(InvariantError, match=r"uemu1:0011 showed made-1, and \['made-2'\]"):
        explore(toy(fill))


@pytest.mark.parametrize("reduction", [True, False])
def test_twice_the_same(reduction: bool) -> None:
    factory = toy(philosophers, 3)
    assert explore(factory, reduction=reduction) == explore(factory, reduction=reduction)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_refuses_to_take_no_time(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"max_seconds is .*, and has to be more than 0"):
        explore(toy(racy_counter), max_seconds=seconds)


@pytest.mark.parametrize("bound", ["max_schedules", "max_steps"])
def test_refuses_a_bound_that_leaves_nothing_to_run(bound: str) -> None:
    with pytest.raises(ValueError, match=f"{bound} is 0, and has to be 1 or more"):
        explore(toy(racy_counter), **{bound: 0})  # type: ignore[arg-type]
