"""x86-TSO in small: the litmus tests of its authors, each explored to the end.

Source: Sewell, Sarkar, Owens, Zappa Nardelli, Myreen, "x86-TSO", CACM 2010.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from uemu.explore import explore
from uemu.explore.world import Task as WorldTask
from uemu.mm.locks import SpinLock
from uemu.step import Access, Cell, Op, RecordingCpu, Step
from uemu.step.tso import TsoCpu

Program = Callable[["Litmus", RecordingCpu], Op[None]]


class _Task:
    def __init__(self, name: str, cpu: RecordingCpu) -> None:
        self.name = name
        self.cpu = cpu
        self.over = False
        self.op: Op[None] = iter(())  # type: ignore[assignment]

    def is_over(self) -> bool:
        return self.over

    def run(self, op: Op[None]) -> Op[None]:
        for step in op:
            self.cpu.end_step()
            yield self.cpu.label(step)
            self.cpu.begin_step(step)
        self.cpu.end_step()
        self.over = True


class Litmus:
    """Two or more CPUs over x and y; what each reads has a name, and makes the verdict."""

    def __init__(self, programs: Sequence[Program], *, tso: bool) -> None:
        self.x = Cell(("x",), 0)
        self.y = Cell(("y",), 0)
        self.lock = SpinLock(("lock",))
        self.seen: dict[str, int] = {}
        self._tasks: list[_Task] = []
        for number, program in enumerate(programs):
            cpu = TsoCpu(f"cpu{number}") if tso else RecordingCpu(f"cpu{number}")
            task = _Task(cpu.name, cpu)
            task.op = task.run(program(self, cpu))
            self._tasks.append(task)
            if isinstance(cpu, TsoCpu):
                buffer = _Task(f"stores{number}", RecordingCpu(f"stores{number}"))
                buffer.op = cpu.drain_steps(buffer.cpu, task.is_over)
                self._tasks.append(buffer)

    def tasks(self) -> Sequence[WorldTask]:
        return self._tasks

    def check(self) -> None:
        pass

    def finish(self) -> frozenset[str]:
        return frozenset({" ".join(f"{name}={value}" for name, value in sorted(self.seen.items()))})

    def state(self) -> str:
        return f"{self.x.peek()}{self.y.peek()}"


def outcomes(*programs: Program, tso: bool) -> tuple[set[str], int]:
    """Every outcome, and how many schedules it took to know."""
    found = explore(lambda: Litmus(programs, tso=tso))
    assert found.exhaustive
    return set(found.verdicts), found.schedules


def store_x_read_y(w: Litmus, cpu: RecordingCpu, *, fence: bool = False) -> Op[None]:
    yield Step("cpu", "x = 1")
    cpu.write(w.x, 1)
    if fence:
        cpu.mb()
    yield Step("cpu", "r0 = y")
    w.seen["r0"] = cpu.read(w.y)


def store_y_read_x(w: Litmus, cpu: RecordingCpu, *, fence: bool = False) -> Op[None]:
    yield Step("cpu", "y = 1")
    cpu.write(w.y, 1)
    if fence:
        cpu.mb()
    yield Step("cpu", "r1 = x")
    w.seen["r1"] = cpu.read(w.x)


def fenced(program: Callable[..., Op[None]]) -> Program:
    return lambda w, cpu: program(w, cpu, fence=True)


def test_store_buffering_is_seen_under_tso_alone() -> None:
    sc, _ = outcomes(store_x_read_y, store_y_read_x, tso=False)
    assert sc == {"r0=0 r1=1", "r0=1 r1=0", "r0=1 r1=1"}
    tso, _ = outcomes(store_x_read_y, store_y_read_x, tso=True)
    assert tso == sc | {"r0=0 r1=0"}


def test_fences_on_both_sides_forbid_it_and_one_does_not() -> None:
    both, _ = outcomes(fenced(store_x_read_y), fenced(store_y_read_x), tso=True)
    assert "r0=0 r1=0" not in both
    one, _ = outcomes(fenced(store_x_read_y), store_y_read_x, tso=True)
    assert "r0=0 r1=0" in one


@pytest.mark.parametrize("tso", [False, True])
def test_stores_of_a_cpu_are_seen_in_their_order(tso: bool) -> None:
    def writer(w: Litmus, cpu: RecordingCpu) -> Op[None]:
        yield Step("cpu", "x = 1")
        cpu.write(w.x, 1)
        yield Step("cpu", "y = 1")
        cpu.write(w.y, 1)

    def reader(w: Litmus, cpu: RecordingCpu) -> Op[None]:
        yield Step("cpu", "r0 = y")
        w.seen["r0"] = cpu.read(w.y)
        yield Step("cpu", "r1 = x")
        w.seen["r1"] = cpu.read(w.x)

    found, _ = outcomes(writer, reader, tso=tso)
    assert found == {"r0=0 r1=0", "r0=0 r1=1", "r0=1 r1=1"}


def test_a_cpu_reads_its_own_store_before_others_do() -> None:
    def alone(w: Litmus, cpu: RecordingCpu) -> Op[None]:
        yield Step("cpu", "x = 1")
        cpu.write(w.x, 1)
        yield Step("cpu", "r0 = x")
        w.seen["r0"] = cpu.read(w.x)

    def other(w: Litmus, cpu: RecordingCpu) -> Op[None]:
        yield Step("cpu", "r1 = x")
        w.seen["r1"] = cpu.read(w.x)

    found, _ = outcomes(alone, other, tso=True)
    assert found == {"r0=1 r1=0", "r0=1 r1=1"}


def add_under_lock(w: Litmus, cpu: RecordingCpu) -> Op[None]:
    yield w.lock.step("cpu", "x += 1")
    w.lock.enter(cpu)
    cpu.write(w.x, cpu.read(w.x) + 1)


def last_of_x(w: Litmus, cpu: RecordingCpu) -> Op[None]:
    yield from add_under_lock(w, cpu)
    yield w.lock.step("cpu", "r0 = x")
    w.lock.enter(cpu)
    w.seen["r0"] = cpu.read(w.x)


@pytest.mark.parametrize("tso", [False, True])
def test_a_lock_given_back_by_a_plain_store_loses_nothing(tso: bool) -> None:
    found, _ = outcomes(add_under_lock, last_of_x, tso=tso)
    assert found == {"r0=1", "r0=2"}


def test_a_lock_kept_over_steps_is_not_given_back_in_between() -> None:
    def two_halves(w: Litmus, cpu: RecordingCpu) -> Op[None]:
        yield w.lock.step("cpu", "x += 1")
        w.lock.enter(cpu)
        w.lock.acquire(cpu)
        half = cpu.read(w.x)
        yield Step("cpu", "and write it")
        cpu.write(w.x, half + 1)
        w.lock.release(cpu)

    def reader(w: Litmus, cpu: RecordingCpu) -> Op[None]:
        yield from two_halves(w, cpu)
        yield w.lock.step("cpu", "r0 = x")
        w.lock.enter(cpu)
        w.seen["r0"] = cpu.read(w.x)

    found, _ = outcomes(two_halves, reader, tso=True)
    assert found == {"r0=1", "r0=2"}


def test_what_is_no_memory_is_not_delayed() -> None:
    cpu, cell = TsoCpu("cpu"), Cell(("tlb",), 0)
    cpu.put(cell, 1)
    assert (cell.peek(), cpu.has_stores()) == (1, False)
    cpu.write(cell, 2)
    assert (cell.peek(), cpu.read(cell), cpu.has_stores()) == (1, 2, True)
    assert cpu.add(cell, 1) == 3
    assert (cell.peek(), cpu.has_stores()) == (3, False)


def test_a_flush_on_another_cpu_drains_it_and_notes_it_where_it_was_asked_for() -> None:
    cpu, other, cell = TsoCpu("cpu"), RecordingCpu("other"), Cell(("x",), 0)
    cpu.write(cell, 1)
    cpu.take_accesses()
    cpu.serialize(other)
    assert (cell.peek(), cpu.has_stores()) == (1, False)
    assert cpu.take_accesses() == Access()
    assert other.take_accesses().writes == {("x",), ("store buffer", "cpu", 0)}


def test_to_count_is_a_locked_instruction() -> None:
    cpu, cell, counter = TsoCpu("cpu"), Cell(("x",), 0), Cell(("n",), 0)
    cpu.write(cell, 1)
    cpu.count(counter, 1)
    assert (cell.peek(), counter.peek(), cpu.has_stores()) == (1, 1, False)
    assert ("n",) in cpu.take_accesses().counts


# Steps with a locked instruction ------------------------------------------------------------


def two_stores_and_a_lock(w: Litmus, cpu: RecordingCpu, *, locked: bool) -> Op[None]:
    yield Step("cpu", "x = 1")
    cpu.write(w.x, 1)
    yield Step("cpu", "y = 1")
    cpu.write(w.y, 1)
    yield Step("cpu", "lock", locked=locked)
    w.seen["r2"] = cpu.read(w.x)
    cpu.rmw(w.lock.held, lambda held: held)


def read_both(w: Litmus, cpu: RecordingCpu) -> Op[None]:
    yield Step("cpu", "r1 = x")
    w.seen["r1"] = cpu.read(w.x)
    yield Step("cpu", "r0 = y")
    w.seen["r0"] = cpu.read(w.y)


@pytest.mark.parametrize("locked", [True, False])
def test_what_the_last_step_of_a_task_drains_might_have_been_drained_before(locked: bool) -> None:
    """Nobody loses the right to run then: who drains the stores goes on, to its end."""

    def program(w: Litmus, cpu: RecordingCpu) -> Op[None]:
        return two_stores_and_a_lock(w, cpu, locked=locked)

    every = explore(lambda: Litmus([program, read_both], tso=True), reduction=False)
    found, _ = outcomes(program, read_both, tso=True)
    assert found == set(every.verdicts) == {f"r0={y} r1={x} r2=1" for x in (0, 1) for y in (0, 1)}


def test_a_locked_step_that_waits_shows_the_same_in_fewer_orders() -> None:
    def program(locked: bool) -> Program:
        return lambda w, cpu: two_stores_and_a_lock(w, cpu, locked=locked)

    # Each store is drained before or after the read of its cell: 2 * 2 kinds. Without
    # the wait: drained before the locked instruction, both, 4, or one, 4; or both by it,
    # before, between or after the reads, 3.
    assert outcomes(program(True), read_both, tso=True)[1] == 4
    assert outcomes(program(False), read_both, tso=True)[1] == 11


def test_a_locked_step_waits_for_the_buffer_and_touches_what_it_waited_for() -> None:
    cpu, other, cell = TsoCpu("cpu"), RecordingCpu("other"), Cell(("x",), 0)
    step = cpu.label(Step("f", "lock", locked=True))
    assert step.is_enabled()
    cpu.write(cell, 1)
    assert not step.is_enabled()
    cpu.serialize(other)
    assert step.is_enabled()
    cpu.take_accesses()
    cpu.begin_step(step)
    assert cpu.take_accesses().reads == {("store buffer", "cpu", 0)}
    plain = Step("f", "no lock")
    assert cpu.label(plain) is plain


def test_a_locked_step_without_a_locked_instruction_is_a_mistake() -> None:
    def liar(w: Litmus, cpu: RecordingCpu) -> Op[None]:
        yield Step("liar", "r0 = y", locked=True)
        w.seen["r0"] = cpu.read(w.y)

    with pytest.raises(ValueError, match="liar: no locked instruction"):
        outcomes(liar, store_y_read_x, tso=True)
