"""What is taken down of a thread, and until when its mappings are listed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.report.program_runs import LOST
from uemu.host import tracee
from uemu.host.tracee import Stop
from uemu.live.program.origins import Origins
from uemu.live.program.stacks import COPIED, Stacks
from uemu.oracle.violations import Violation

STACK_AT = 0x7000


class Memory:
    """An address space that lists its mappings, and counts how often."""

    def __init__(self) -> None:
        self.asked = 0

    def maps(self) -> bytes:
        self.asked += 1
        return b"list %d" % self.asked

    def read(self, addr: int, length: int) -> bytes:
        assert length == COPIED
        return b"stack at %#x" % addr


class Made:
    """As much of a task, and of its address space, as is looked at."""

    def __init__(self) -> None:
        self.tid, self.memory, self.origins = 5, Memory(), Origins()
        self.stop: Stop | None = self.stopped()
        self.mm: Any = self
        self.id = 3

    def stopped(self) -> Stop:
        return Stop(self.tid, 0, 0, 0, 0, 0, 0, (0,) * 6)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    """A task whose registers say where its stack is."""
    task = Made()
    at = {"stack": STACK_AT}
    monkeypatch.setattr(
        tracee, "registers_of", lambda tid: tuple(at["stack"] if i == 7 else 0 for i in range(17))
    )
    return task


def stacks_of(task: Made) -> Stacks:
    tasks: Any = {task.tid: task}
    return Stacks(tasks, {"tid 5": task.tid})


def told(moment: object) -> Violation:
    return replace(LOST, story=(replace(LOST.story[0], moment=moment), *LOST.story[1:]))


def test_a_stop_is_taken_down_once_and_the_next_one_anew(made: Made) -> None:
    stacks = stacks_of(made)
    first = stacks.take("tid 5")
    assert first is not None
    assert (first.rsp, first.stack) == (STACK_AT, b"stack at 0x7000")
    assert stacks.take("tid 5") is first
    made.stop = made.stopped()
    again = stacks.take("tid 5")
    assert again is not None
    assert again is not first
    assert again.mappings is first.mappings


def test_of_who_runs_or_is_not_known_nothing_is_taken_down(made: Made) -> None:
    stacks = stacks_of(made)
    made.stop = None
    assert stacks.take("tid 5") is None
    assert stacks.take("tid 6") is stacks.take("device") is None


def test_mappings_are_listed_at_first_and_at_a_violation_until_they_are_gone(made: Made) -> None:
    stacks = stacks_of(made)
    moment = stacks.take("tid 5")
    assert moment is not None
    assert moment.mappings.text == b"list 1"
    stacks.look([told(moment), told(moment)])
    assert moment.mappings.text == b"list 2"
    stacks.forget(3)
    stacks.look([told(moment)])
    assert moment.mappings.text == b"list 2"
    made.stop = made.stopped()
    later = stacks.take("tid 5")
    assert later is not None
    assert later.mappings is not moment.mappings
