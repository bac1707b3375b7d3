"""The text of a schedule: there and back, and what a wrong one is told."""

from __future__ import annotations

import pytest

from uemu.explore import Schedule, ScheduleError


def test_text_and_back() -> None:
    schedule = Schedule((0, 1, 1, 2, 2, 0, 0, 2))
    assert str(schedule) == "uemu1:01122002"
    assert Schedule.parse("uemu1:01122002") == schedule
    assert repr(schedule) == "Schedule('uemu1:01122002')"


def test_is_a_tuple_of_task_indices() -> None:
    assert Schedule([0, 1]) == (0, 1)


def test_digits_go_on_after_nine() -> None:
    schedule = Schedule((9, 10, 35))
    assert str(schedule) == "uemu1:9az"
    assert Schedule.parse("uemu1:9az") == schedule


def test_no_step_at_all() -> None:
    assert str(Schedule()) == "uemu1:"
    assert Schedule.parse("uemu1:") == ()


@pytest.mark.parametrize("task", [-1, 36])
def test_refuses_a_task_without_a_digit(task: int) -> None:
    with pytest.raises(ValueError, match=rf"step 1 names task {task}; .* 0 to 35"):
        Schedule((0, task))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0112", "'0112' does not begin with 'uemu1:'"),
        ("", "'' does not begin with 'uemu1:'"),
        ("uemu2:0112", "'uemu2:0112' does not begin with 'uemu1:'"),
        ("uemu1:01A2", "has 'A' in column 9, which is not one of 0123"),
        ("uemu1:01 2", "has ' ' in column 9"),
        ("uemu1:٣", "has '٣' in column 7"),
    ],
)
def test_refuses_text(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="a schedule looks like uemu1:01122002") as caught:
        Schedule.parse(text)
    assert why in str(caught.value)


def test_error_says_who_could_have_run() -> None:
    error = ScheduleError(3, 2, "fork, through", ("0 (io)", "1 (cpu)"))
    assert str(error) == "step 3: task 2 (fork, through) cannot run; who can: 0 (io), 1 (cpu)"
    assert (error.index, error.task, error.runnable) == (3, 2, ("0 (io)", "1 (cpu)"))
