"""Toy worlds whose schedules one can count by hand.

A toy is written as a function that fills an empty `Toy` with cells and tasks;
`toy` makes a factory of it. Every body keeps to the rules of `uemu.step`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from uemu.errors import InvariantError
from uemu.explore import Exploration, Run, StepRecord, World, WorldFactory, explore
from uemu.step import Access, Cell, Op, RecordingCpu, Step

Body = Callable[[RecordingCpu], Op[None]]


class BlindCpu(RecordingCpu):
    """A CPU that keeps to itself what it touched: conflicts are hidden."""

    def take_accesses(self) -> Access:
        super().take_accesses()
        return Access()


class HastyCpu(RecordingCpu):
    """A CPU that takes what looks at a counter for what only counts."""

    def add(self, cell: Cell[int], n: int) -> int:
        self.count(cell, n)
        return cell.value


@dataclass
class Thread:
    """A task of a toy."""

    name: str
    cpu: RecordingCpu
    op: Op[None]


class Toy:
    """A world of cells that hold numbers.

    Attributes:
        judge: the verdicts at the end.
        rule: what has to hold after every step.
        log: what tasks saw, for the final state.
    """

    def __init__(self, cpu: type[RecordingCpu] = RecordingCpu) -> None:
        self.cells: list[Cell[int]] = []
        self.threads: list[Thread] = []
        self.log: dict[str, list[int]] = {}
        self.judge: Callable[[], frozenset[str]] = frozenset
        self.rule: Callable[[], None] = lambda: None
        self._cpu = cpu

    def cell(self, name: str, value: int = 0) -> Cell[int]:
        cell = Cell((name,), value)
        self.cells.append(cell)
        return cell

    def spawn(self, name: str, body: Body) -> None:
        cpu = self._cpu(name)
        self.threads.append(Thread(name, cpu, body(cpu)))

    def see(self, name: str, value: int) -> None:
        """Note what a task saw."""
        self.log.setdefault(name, []).append(value)

    def tasks(self) -> Sequence[Thread]:
        return self.threads

    def check(self) -> None:
        self.rule()

    def finish(self) -> frozenset[str]:
        return self.judge()

    def state(self) -> str:
        cells = " ".join(f"{cell.name[0]}={cell.peek()}" for cell in self.cells)
        return f"{cells} {sorted(self.log.items())}" if self.log else cells


@dataclass(frozen=True)
class ToyMaker:
    """The factory of a toy; it can be pickled if its parts can."""

    fill: Callable[..., None]
    args: tuple[Any, ...]
    cpu: type[RecordingCpu]

    def __call__(self) -> Toy:
        world = Toy(self.cpu)
        self.fill(world, *self.args)
        return world


def toy(
    fill: Callable[..., None], *args: Any, cpu: type[RecordingCpu] = RecordingCpu
) -> WorldFactory:
    """The factory of a toy."""
    return ToyMaker(fill, args, cpu)


def free(lock: Cell[int]) -> Callable[[], bool]:
    """The condition of a step that takes a lock."""
    return lambda: lock.peek() == 0


# Toys


def racy_counter(world: Toy, tasks: int = 2) -> None:
    """Each task adds one in two steps, load and store: ``lost-update``."""
    counter = world.cell("n")

    def body(cpu: RecordingCpu) -> Op[None]:
        yield Step("add", "load")
        value = cpu.read(counter)
        yield Step("add", "store")
        cpu.write(counter, value + 1)

    for number in range(tasks):
        world.spawn(f"t{number}", body)
    world.judge = lambda: frozenset({"lost-update"} if counter.peek() != tasks else ())


def locked_counter(world: Toy, tasks: int = 2) -> None:
    """The same under a lock: lock, load, store and unlock."""
    counter = world.cell("n")
    lock = world.cell("lock")

    def body(cpu: RecordingCpu) -> Op[None]:
        yield Step("lock", "n", free(lock))
        cpu.write(lock, 1)
        yield Step("add", "load")
        value = cpu.read(counter)
        yield Step("add", "store, unlock")
        cpu.write(counter, value + 1)
        cpu.write(lock, 0)

    for number in range(tasks):
        world.spawn(f"t{number}", body)
    world.judge = lambda: frozenset({"lost-update"} if counter.peek() != tasks else ())


def strangers(world: Toy, tasks: int = 2, steps: int = 2) -> None:
    """Tasks that have nothing in common."""

    def body(cell: Cell[int]) -> Body:
        def op(cpu: RecordingCpu) -> Op[None]:
            for _ in range(steps):
                yield Step("add", str(cell.name[0]))
                cpu.add(cell, 1)

        return op

    for number in range(tasks):
        world.spawn(f"t{number}", body(world.cell(f"c{number}")))


def locks_in_turn(world: Toy, tasks: int = 2) -> None:
    """Who takes the lock last leaves its number: acquire against acquire."""
    lock = world.cell("lock")
    last = world.cell("last")

    def body(number: int) -> Body:
        def op(cpu: RecordingCpu) -> Op[None]:
            yield Step("lock", "", free(lock))
            cpu.write(lock, 1)
            yield Step("unlock", "")
            cpu.write(last, number)
            cpu.write(lock, 0)

        return op

    for number in range(1, tasks + 1):
        world.spawn(f"t{number}", body(number))


def philosophers(world: Toy, seats: int = 2, *, left_handed: bool = False) -> None:
    """Each takes the fork on its left, then the one on its right, and puts both back."""
    forks = [world.cell(f"fork{number}") for number in range(seats)]

    def body(first: Cell[int], second: Cell[int]) -> Body:
        def op(cpu: RecordingCpu) -> Op[None]:
            yield Step("take", str(first.name[0]), free(first))
            cpu.write(first, 1)
            yield Step("take", str(second.name[0]), free(second))
            cpu.write(second, 1)
            yield Step("put", "both")
            cpu.write(first, 0)
            cpu.write(second, 0)

        return op

    for number in range(seats):
        pair = (forks[number], forks[(number + 1) % seats])
        if left_handed and number == seats - 1:
            pair = pair[1], pair[0]
        world.spawn(f"p{number}", body(*pair))


def one_left_handed(world: Toy, seats: int = 2) -> None:
    """Philosophers that cannot starve: the last one takes the forks in order."""
    philosophers(world, seats, left_handed=True)


def counters(world: Toy, tasks: int = 3) -> None:
    """Each counts, another one looks: ``some`` if it saw a part of them."""
    counter = world.cell("n")

    def body(cpu: RecordingCpu) -> Op[None]:
        for n in (2, -1):
            yield Step("count", str(n))
            cpu.count(counter, n)

    def looker(cpu: RecordingCpu) -> Op[None]:
        yield Step("look", "")
        world.see("looker", cpu.read(counter))

    for number in range(tasks):
        world.spawn(f"t{number}", body)
    world.spawn("looker", looker)
    world.judge = lambda: frozenset({"some"} if world.log["looker"][0] not in (0, tasks) else ())


def last_one_out(world: Toy, tasks: int = 2) -> None:
    """Each gives a reference back, and whoever finds that it was the last turns off the light."""
    counter = world.cell("n", tasks)

    def body(number: int) -> Body:
        def op(cpu: RecordingCpu) -> Op[None]:
            yield Step("put", "")
            if cpu.add(counter, -1) == 0:
                world.see("light", number)

        return op

    for number in range(tasks):
        world.spawn(f"t{number}", body(number))
    world.judge = lambda: frozenset({"first"} if world.log["light"] == [0] else ())


def message(world: Toy, *, flag_first: bool = False) -> None:
    """A writer fills a box and raises a flag; a reader looks at both: ``stale-read``."""
    box = world.cell("box")
    flag = world.cell("flag")

    def writer(cpu: RecordingCpu) -> Op[None]:
        for cell in (flag, box) if flag_first else (box, flag):
            yield Step("write", str(cell.name[0]))
            cpu.write(cell, 1)

    def reader(cpu: RecordingCpu) -> Op[None]:
        yield Step("read", "flag")
        raised = cpu.read(flag)
        yield Step("read", "box")
        world.see("reader", 10 * raised + cpu.read(box))

    world.spawn("writer", writer)
    world.spawn("reader", reader)
    world.judge = lambda: frozenset({"stale-read"} if world.log["reader"] == [10] else ())


def message_flag_first(world: Toy) -> None:
    """The mistake: the flag goes up before the box is full."""
    message(world, flag_first=True)


def message_awaited(world: Toy) -> None:
    """The reader waits for the flag."""
    box = world.cell("box")
    flag = world.cell("flag")

    def writer(cpu: RecordingCpu) -> Op[None]:
        yield Step("write", "box")
        cpu.write(box, 1)
        yield Step("write", "flag")
        cpu.write(flag, 1)

    def reader(cpu: RecordingCpu) -> Op[None]:
        yield Step("wait", "flag", lambda: flag.peek() == 1)
        cpu.read(flag)
        yield Step("read", "box")
        world.see("reader", cpu.read(box))

    world.spawn("writer", writer)
    world.spawn("reader", reader)
    world.judge = lambda: frozenset({"stale-read"} if world.log["reader"] != [1] else ())


def spawning(world: Toy) -> None:
    """A parent that creates a child; child, parent and a stranger write one cell."""
    cell = world.cell("x")

    def child(cpu: RecordingCpu) -> Op[None]:
        yield Step("child", "write")
        cpu.write(cell, 3)

    def parent(cpu: RecordingCpu) -> Op[None]:
        yield Step("spawn", "")
        world.spawn("child", child)
        yield Step("parent", "write")
        cpu.write(cell, 2)

    def stranger(cpu: RecordingCpu) -> Op[None]:
        yield Step("stranger", "write")
        cpu.write(cell, 1)

    world.spawn("parent", parent)
    world.spawn("stranger", stranger)


def two_parents(world: Toy) -> None:
    """Two parents create a child each: who is first numbers the children."""
    cell = world.cell("x")

    def child(number: int) -> Body:
        def op(cpu: RecordingCpu) -> Op[None]:
            yield Step("child", "write")
            cpu.write(cell, number)

        return op

    def parent(number: int) -> Body:
        def op(cpu: RecordingCpu) -> Op[None]:
            yield Step("spawn", "")
            world.spawn(f"child{number}", child(number))

        return op

    world.spawn("parent1", parent(1))
    world.spawn("parent2", parent(2))


def either(world: Toy) -> None:
    """A task waits for one of two others: each of three ends needs its own order."""
    a = world.cell("a")
    b = world.cell("b")

    def setter(cell: Cell[int]) -> Body:
        def op(cpu: RecordingCpu) -> Op[None]:
            yield Step("set", str(cell.name[0]))
            cpu.write(cell, 1)

        return op

    def waiter(cpu: RecordingCpu) -> Op[None]:
        yield Step("wait", "a or b", lambda: a.peek() == 1 or b.peek() == 1)
        world.see("waiter", 10 * cpu.read(a) + cpu.read(b))

    world.spawn("a", setter(a))
    world.spawn("b", setter(b))
    world.spawn("waiter", waiter)


def short_circuit(world: Toy) -> None:
    """A wait that looks at its second cell only if the first does not decide.

    The step that waited does the same, so what it reads does not always tell
    that `b` could have stopped it.
    """
    a = world.cell("a", 1)
    b = world.cell("b", 0)

    def setter(cell: Cell[int], value: int) -> Body:
        def op(cpu: RecordingCpu) -> Op[None]:
            yield Step("set", f"{cell.name[0]} = {value}")
            cpu.write(cell, value)

        return op

    def waiter(cpu: RecordingCpu) -> Op[None]:
        yield Step("wait", "not a, or not b", lambda: a.peek() == 0 or b.peek() == 0)
        decided = cpu.read(a) == 0
        if not decided:
            cpu.read(b)
        world.see("waiter", decided)

    world.spawn("b", setter(b, 1))
    world.spawn("a", setter(a, 0))
    world.spawn("waiter", waiter)


def fickle(world: Toy) -> None:
    """A task that touches `y` only while it finds `x` to be 0.

    Asleep it would have written `y`; woken by whoever changed `x` it does not, and
    is in no race any more with who looks at `y`. See part (2)(a) in `dpor`.
    """
    x = world.cell("x")
    y = world.cell("y")

    def fickle(cpu: RecordingCpu) -> Op[None]:
        yield Step("fickle", "")
        if cpu.read(x) == 0:
            cpu.write(y, 1)

    def setter(cpu: RecordingCpu) -> Op[None]:
        yield Step("setter", "")
        cpu.write(x, 2)

    def witness(cpu: RecordingCpu) -> Op[None]:
        yield Step("witness", "")
        world.see("witness", cpu.read(x))

    def looker(cpu: RecordingCpu) -> Op[None]:
        yield Step("looker", "")
        if cpu.read(y) == 0:
            cpu.write(y, 2)
        else:
            world.see("looker", cpu.read(x))

    world.spawn("fickle", fickle)
    world.spawn("setter", setter)
    world.spawn("witness", witness)
    world.spawn("looker", looker)


def missed_wakeup(world: Toy) -> None:
    """A state that passes: who comes too late waits for ever."""
    x = world.cell("x")
    y = world.cell("y")

    def passing(cpu: RecordingCpu) -> Op[None]:
        yield Step("set", "x = 1")
        cpu.write(x, 1)
        yield Step("set", "x = 2")
        cpu.write(x, 2)

    def waiter(cpu: RecordingCpu) -> Op[None]:
        yield Step("prepare", "y")
        cpu.write(y, 1)
        yield Step("wait", "x == 1", lambda: x.peek() == 1)
        cpu.read(x)

    world.spawn("passing", passing)
    world.spawn("waiter", waiter)


def hidden_behind_error(world: Toy) -> None:
    """One task always fails; the other one fails too, if it comes early enough."""
    x = world.cell("x")

    def certain(cpu: RecordingCpu) -> Op[None]:
        yield Step("set", "x")
        cpu.write(x, 1)
        yield Step("fail", "")
        raise InvariantError("certain", "always")

    def early(cpu: RecordingCpu) -> Op[None]:
        yield Step("look", "x")
        if cpu.read(x) == 0:
            raise InvariantError("early", "before x was set")

    world.spawn("certain", certain)
    world.spawn("early", early)


def stubborn_error(world: Toy) -> None:
    """The rule of the world is broken by the second of two additions."""
    x = world.cell("x")

    def body(cpu: RecordingCpu) -> Op[None]:
        yield Step("add", "x")
        cpu.add(x, 1)

    def rule() -> None:
        if x.peek() > 1:
            raise InvariantError("too-many", f"x is {x.peek()}")

    world.spawn("one", body)
    world.spawn("two", body)
    world.rule = rule


def patience(world: Toy, steps: int) -> None:
    """One task has a single step to take before the other one has taken many."""
    x = world.cell("x")

    def quick(cpu: RecordingCpu) -> Op[None]:
        yield Step("set", "x")
        cpu.write(x, 1)

    def slow(cpu: RecordingCpu) -> Op[None]:
        for _ in range(steps - 1):
            yield Step("go", "on")
        yield Step("look", "x")
        world.see("slow", cpu.read(x))

    world.spawn("quick", quick)
    world.spawn("slow", slow)
    world.judge = lambda: frozenset({"overtaken"} if world.log["slow"] == [0] else ())


def endless(world: Toy) -> None:
    """A task that breaks rule R4: a loop that yields."""
    x = world.cell("x")

    def body(cpu: RecordingCpu) -> Op[None]:
        while True:
            yield Step("spin", "")
            if cpu.read(x):
                return

    world.spawn("spinner", body)


TOYS: dict[str, WorldFactory] = {
    "racy counter": toy(racy_counter),
    "racy counter of three": toy(racy_counter, 3),
    "locked counter": toy(locked_counter),
    "locked counter of three": toy(locked_counter, 3),
    "strangers": toy(strangers),
    "strangers, three": toy(strangers, 3),
    "locks in turn": toy(locks_in_turn),
    "locks in turn, three": toy(locks_in_turn, 3),
    "philosophers": toy(philosophers),
    "philosophers, three": toy(philosophers, 3),
    "left-handed philosopher": toy(one_left_handed),
    "left-handed philosopher of three": toy(one_left_handed, 3),
    "counters": toy(counters, 2),
    "counters of three": toy(counters, 3),
    "last one out": toy(last_one_out),
    "last one out of three": toy(last_one_out, 3),
    "message": toy(message),
    "message, flag first": toy(message_flag_first),
    "message awaited": toy(message_awaited),
    "spawning": toy(spawning),
    "two parents": toy(two_parents),
    "either": toy(either),
    "short circuit": toy(short_circuit),
    "fickle": toy(fickle),
    "missed wakeup": toy(missed_wakeup),
    "hidden behind error": toy(hidden_behind_error),
    "stubborn error": toy(stubborn_error),
}
"""Every toy that ends."""


class Observed:
    """A world whose final states are collected."""

    def __init__(self, world: World, ends: dict[str, None]) -> None:
        self.tasks = world.tasks
        self.check = world.check
        self.state = world.state
        self._finish = world.finish
        self._ends = ends

    def finish(self) -> frozenset[str]:
        self._ends[self.state()] = None
        return self._finish()


def explore_ends(factory: WorldFactory, *, reduction: bool) -> tuple[Exploration, set[str]]:
    """Explore, and collect the final states of executions that no error ended."""
    ends: dict[str, None] = {}
    found = explore(lambda: Observed(factory(), ends), reduction=reduction)
    return found, set(ends)


def kind_of(run: Run) -> frozenset[object]:
    """What two orders of one kind have in common: who came first in each conflict.

    Written without the explorer's clocks: every pair of steps is compared.
    """
    steps: list[tuple[tuple[int, int], StepRecord]] = []
    for record in run.records:
        number = sum(name[0] == record.task_index for name, _ in steps)
        steps.append(((record.task_index, number), record))
    pairs: list[object] = [name for name, _ in steps]
    for (one, first), (two, second) in combinations(steps, 2):
        shared = False
        for a, b in ((first, second), (second, first)):
            shared |= bool(a.writes & (b.reads | b.writes | b.counts) or a.counts & b.reads)
        if shared or (first.step.fn == second.step.fn == "spawn"):
            pairs.append((one, two))
    return frozenset(pairs)
