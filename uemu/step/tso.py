"""x86-TSO: a CPU whose stores wait in a buffer, and what drains it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from uemu.step import Cell, Cpu, Op, RecordingCpu, Step

T = TypeVar("T")


class TsoCpu(RecordingCpu):
    """A CPU under x86-TSO: its stores wait in a buffer, first in, first out.

    A store becomes visible to others when it is drained: by a locked instruction
    (`rmw`, `add`, `count`), by `mb`, by a flush of the CPU's TLB (`serialize`), or at
    any later moment, which is a step of its own (`drain_steps`). The CPU itself reads
    what it stored last. A spinlock is given back by a plain store, as on x86: who
    waits for it waits until that, and so everything before it, is drained.

    An action with a locked instruction in it (`Step.locked`) waits until the buffer is
    empty, instead of draining it by itself: what others see is the same, since the
    CPU reads its own stores either way, and no order of steps is run twice, once with
    each store drained before the action and once within.

    Source: Sewell, Sarkar, Owens, Zappa Nardelli, Myreen, "x86-TSO", CACM 2010.
    """

    __slots__ = ("_entered", "_has_to_lock", "_issued", "buffer")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.buffer: list[tuple[int, Cell[Any], Any]] = []
        self._issued = 0
        self._entered: list[tuple[Cell[Any], Any]] = []
        self._has_to_lock = ""

    def _place(self, number: int) -> tuple[str, str, int]:
        return ("store buffer", self.name, number)

    def read(self, cell: Cell[T]) -> T:
        for number, stored, value in reversed(self.buffer):
            if stored is cell:
                self.reads[self._place(number)] = None
                mine: T = value
                return mine
        return super().read(cell)

    def write(self, cell: Cell[T], value: T) -> None:
        self.buffer.append((self._issued, cell, value))
        self.writes[self._place(self._issued)] = None
        self._issued += 1

    def put(self, cell: Cell[T], value: T) -> None:
        super().write(cell, value)

    def rmw(self, cell: Cell[T], f: Callable[[T], T]) -> T:
        self.mb()
        return super().rmw(cell, f)

    def add(self, cell: Cell[int], n: int) -> int:
        self.mb()
        return super().add(cell, n)

    def count(self, cell: Cell[int], n: int) -> None:
        self.mb()
        super().count(cell, n)

    def mb(self) -> None:
        self._has_to_lock = ""
        self.serialize(self)

    def serialize(self, by: Cpu) -> None:
        while self.buffer:
            self._drain_one(by)

    def enter(self, lock: Cell[T], held: T, free: T) -> None:
        self.rmw(lock, lambda _: held)
        self._entered.append((lock, free))

    def keep(self, lock: Cell[T], held: T) -> None:
        if not any(entered is lock for entered, _ in self._entered):
            self.rmw(lock, lambda _: held)
        self._entered = [each for each in self._entered if each[0] is not lock]

    def has_stores(self) -> bool:
        return bool(self.buffer)

    def label(self, step: Step) -> Step:
        if not step.locked:
            return step
        return Step(step.fn, step.what, lambda: not self.buffer and step.is_enabled(), True)

    def begin_step(self, step: Step) -> None:
        if step.locked:
            self._has_to_lock = step.fn
            if self._issued:  # R4: whoever drained the last one, this waited for it
                self.reads[self._place(self._issued - 1)] = None

    def end_step(self) -> None:
        if self._has_to_lock:
            raise ValueError(f"{self._has_to_lock}: no locked instruction, and the step is locked")
        while self._entered:
            self.write(*self._entered.pop())

    def _drain_one(self, cpu: Cpu) -> None:
        number, cell, value = self.buffer.pop(0)
        cpu.touch(self._place(number), write=True)
        cpu.touch(cell.name, write=True)
        cell.value = value

    def drain_steps(self, cpu: RecordingCpu, is_over: Callable[[], bool]) -> Op[None]:
        """Drain a store now and then; ends when the CPU is idle for good.

        Args:
            cpu: notes what the drains touch.
            is_over: whether the CPU has nothing more to do.
        """
        step = Step("store buffer", f"drain {self.name}", lambda: bool(self.buffer) or is_over())
        while True:
            yield step
            if not self.buffer:
                # Who drained the last store took this one's place: that is a conflict.
                if self._issued:
                    cpu.touch(self._place(self._issued - 1), write=False)
                return
            self._drain_one(cpu)
