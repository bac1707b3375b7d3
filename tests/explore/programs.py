"""Small random programs, to compare one way of exploring with another.

A program is a list of instructions for each task. An instruction is one step; a
task notes what it sees, so that the final state tells the order of whatever
conflicts.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from tests.explore.toys import Body, Toy, toy
from uemu.errors import InvariantError
from uemu.explore import WorldFactory
from uemu.step import Cell, Op, RecordingCpu, Step


class Instruction(NamedTuple):
    """One step: what to do, with which cells, and a number."""

    what: str
    a: int
    b: int
    value: int


Program = tuple[tuple[Instruction, ...], ...]

KINDS = (
    *("read", "write", "add", "count", "copy", "branch") * 4,
    *("locked", "await", "either", "both") * 2,
    *("fail", "spawn", "lock pair"),
)


def random_program(random: Random, *, tasks: int, steps: int, cells: int) -> Program:
    """A program of at most so many steps per task."""

    def instruction() -> Instruction:
        a, b = random.randrange(cells), random.randrange(cells)
        return Instruction(random.choice(KINDS), a, b, random.randrange(1, 3))

    return tuple(
        tuple(instruction() for _ in range(random.randint(1, steps))) for _ in range(tasks)
    )


def program_world(world: Toy, program: Program, cells: int) -> None:
    """Fill a toy with a program."""
    shared = [world.cell(f"c{number}") for number in range(cells)]
    locks = [world.cell(f"l{number}") for number in range(cells)]
    for number, instructions in enumerate(program):
        world.spawn(f"t{number}", _body(world, f"t{number}", instructions, shared, locks))


def program_factory(program: Program, cells: int) -> WorldFactory:
    """The factory of a program's world."""
    return toy(program_world, program, cells)


def _body(
    world: Toy,
    name: str,
    instructions: tuple[Instruction, ...],
    shared: list[Cell[int]],
    locks: list[Cell[int]],
) -> Body:
    def op(cpu: RecordingCpu) -> Op[None]:
        for index, instruction in enumerate(instructions):
            yield from _step(world, f"{name}.{index}", cpu, instruction, shared, locks)

    return op


def _step(
    world: Toy,
    name: str,
    cpu: RecordingCpu,
    instruction: Instruction,
    shared: list[Cell[int]],
    locks: list[Cell[int]],
) -> Op[None]:
    what, index_a, index_b, value = instruction
    a, b = shared[index_a], shared[index_b]
    if what == "locked":
        # Under a lock, in two steps.
        lock = locks[index_a]
        yield Step("lock", "", lambda: lock.peek() == 0)
        cpu.write(lock, 1)
        seen = cpu.read(b)
        yield Step("unlock", "")
        cpu.write(b, seen + value)
        cpu.write(lock, 0)
    elif what == "lock pair":
        # Two locks in whichever order: these deadlock.
        one, two = locks[index_a], locks[index_b]
        yield Step("lock one", "", lambda: one.peek() == 0)
        cpu.write(one, 1)
        if one is not two:
            yield Step("lock two", "", lambda: two.peek() == 0)
            cpu.write(two, 1)
        yield Step("unlock both", "")
        cpu.write(one, 0)
        cpu.write(two, 0)
    elif what == "await":
        yield Step("await", "", lambda: a.peek() != value)
        world.see(name, cpu.read(a))
    elif what == "either":
        # As Python's "or" does it: the second is not looked at if the first decides.
        yield Step("either", "", lambda: a.peek() == 0 or b.peek() == 0)
        first = cpu.read(a)
        if first != 0:
            cpu.read(b)
        cpu.write(a, value)
    elif what == "both":
        yield Step("both", "", lambda: a.peek() == 0 and b.peek() == 0)
        cpu.read(a)
        cpu.read(b)
        cpu.add(b, value)
    elif what == "spawn":
        yield Step("spawn", "")

        def child(cpu: RecordingCpu) -> Op[None]:
            yield Step("child", "")
            world.see(f"{name}.child", cpu.add(a, value))

        world.spawn(f"{name}.child", child)
    else:
        yield Step(what, "")
        if what == "read":
            world.see(name, cpu.read(a))
        elif what == "write":
            cpu.write(a, value)
        elif what == "add":
            cpu.add(a, value)
        elif what == "count":
            cpu.count(a, value)
        elif what == "copy":
            cpu.write(b, cpu.read(a))
        elif what == "branch":
            # Which cell it touches depends on what it sees.
            if cpu.read(a) == 0:
                cpu.write(b, value)
            else:
                world.see(name, cpu.read(shared[(index_b + 1) % len(shared)]))
        elif what == "fail" and cpu.read(a) == value:
            raise InvariantError(f"fail-{value}", "as the program says")
