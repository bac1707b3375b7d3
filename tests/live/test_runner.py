"""Operations that run until they end or wait, on made-up operations."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from uemu.errors import ProcessDied
from uemu.events import Waited
from uemu.live.runner import Runner, Task
from uemu.step import Cpu, Op, Step


class Bench:
    """A runner, a gate that operations wait at, and what they did."""

    def __init__(self) -> None:
        self.events: list[Waited] = []
        self.runner = Runner(self.events.append)
        self.open = False
        self.dead = False
        self.done: list[str] = []

    def start(self, op: Op[str], cpu: Cpu | None = None) -> Task[str]:
        return self.runner.start("a call", cpu or Cpu("cpu"), 0, op, self.check_alive)

    def check_alive(self) -> None:
        if self.dead:
            raise ProcessDied(17, "was killed by SIGKILL", "an earlier call")

    def passes(self, name: str, gate: Callable[[], bool] | None = None) -> Op[str]:
        """Wait at the gate, then note the name and return it."""
        yield Step("begin", "free to go")
        try:
            yield Step("gate", "wait for it", gate or (lambda: self.open))
            self.done.append(name)
        finally:
            self.done.append(f"{name} gives back its locks")
        return name


def test_an_operation_that_need_not_wait_is_over_at_once() -> None:
    bench = Bench()
    bench.open = True
    task = bench.start(bench.passes("a"))
    assert task.done
    assert task.result() == "a"
    assert bench.events == []
    assert not bench.runner.is_waiting


def test_an_operation_that_must_wait_is_parked_before_its_step() -> None:
    bench = Bench()
    task = bench.start(bench.passes("a"))
    assert not task.done
    assert task.step is not None
    assert (task.step.fn, task.step.what) == ("gate", "wait for it")
    assert bench.done == []
    assert bench.events == [Waited("cpu", 0, "gate", "wait for it", False)]
    assert bench.runner.is_waiting


def test_it_goes_on_when_it_is_looked_at_and_can() -> None:
    bench = Bench()
    task = bench.start(bench.passes("a"))
    bench.runner.wake()
    assert not task.done
    bench.open = True
    bench.runner.wake()
    assert task.result() == "a"
    assert task.step is None
    assert bench.events[1:] == [Waited("cpu", 0, "gate", "wait for it", True)]
    assert not bench.runner.is_waiting


def test_one_that_waits_twice_tells_of_both_waits() -> None:
    bench = Bench()

    def waits_twice() -> Op[str]:
        yield from bench.passes("a")
        yield Step("second gate", "wait again", lambda: len(bench.done) > 2)
        return "b"

    task = bench.start(waits_twice())
    bench.open = True
    bench.runner.wake()
    assert not task.done
    assert [(event.fn, event.done) for event in bench.events] == [
        ("gate", False),
        ("gate", True),
        ("second gate", False),
    ]
    bench.done.append("somebody else's")
    bench.runner.wake()
    assert task.result() == "b"
    assert bench.events[-1] == Waited("cpu", 0, "second gate", "wait again", True)


def test_one_that_goes_on_may_let_another_go_on() -> None:
    bench = Bench()
    last = bench.start(bench.passes("last", lambda: "first" in bench.done))
    first = bench.start(bench.passes("first"))
    bench.open = True
    bench.runner.wake()
    assert first.done
    assert last.done
    assert [name for name in bench.done if " " not in name] == ["first", "last"]


def test_starting_one_looks_at_those_that_wait() -> None:
    bench = Bench()
    waiting = bench.start(bench.passes("waits"))
    bench.open = True
    bench.start(bench.passes("starts"))
    assert waiting.done


def test_what_an_operation_raises_is_raised_where_its_result_is_asked_for() -> None:
    def fails() -> Op[str]:
        yield Step("begin")
        raise OSError("no")

    task = Bench().start(fails())
    assert task.done
    assert isinstance(task.error, OSError)
    with pytest.raises(OSError, match="no"):
        task.result()


def test_a_thread_is_known_by_its_cpu_and_not_by_its_name() -> None:
    bench, one, namesake = Bench(), Cpu("child"), Cpu("child")
    task = bench.start(bench.passes("a"), one)
    assert bench.runner.parked_on(one) is task
    assert bench.runner.parked_on(namesake) is None


def test_an_operation_whose_process_died_goes_no_further_and_gives_back_its_locks() -> None:
    bench = Bench()
    task = bench.start(bench.passes("a"))
    bench.dead = bench.open = True
    bench.runner.wake()
    assert bench.done == ["a gives back its locks"]
    with pytest.raises(ProcessDied, match="process 17 was killed by SIGKILL"):
        task.result()
    # It did not go on: there is no wait to tell of that came to its end.
    assert [event.done for event in bench.events] == [False]
