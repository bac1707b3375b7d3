"""Locks as cells, and the steps that wait for them.

A lock is taken inside the step that waited for it, together with the first
thing done under it, and given back together with the last: an acquisition
commutes to the right and a release to the left, so no order is lost.
A hold that fits into one step is not written down at all: while the step
runs nobody else does, and the step itself was enabled only when free.
"""

from __future__ import annotations

from uemu.step import Cell, Cpu, Op, Step


class SpinLock:
    """A spinlock; the cell holds whether somebody has it across steps."""

    __slots__ = ("_kept", "_steps", "held")

    def __init__(self, name: tuple[object, ...]) -> None:
        self.held: Cell[bool] = Cell(name, False)
        self._kept = False
        self._steps: dict[str, Step] = {}

    def is_free(self) -> bool:
        """Whether nobody holds it across steps."""
        return not self.held.value

    def step(self, fn: str, what: str) -> Step:
        """The label of an action under this lock: it waits until the lock is free."""
        step = self._steps.get(what)
        if step is None or step.fn is not fn:
            step = self._steps[what] = Step(fn, what, self.is_free, True)
        return step

    def enter(self, cpu: Cpu) -> None:
        """Use it for the rest of this step only. Atomic: call inside its step."""
        cpu.enter(self.held, True, False)

    def acquire(self, cpu: Cpu) -> None:
        """Keep it over the coming steps. Atomic: call inside its step."""
        self._kept = True
        cpu.keep(self.held, True)

    def release(self, cpu: Cpu) -> None:
        """Give it back, if it was kept; what is used for one step is given back at its end."""
        if self._kept:
            self._kept = False
            cpu.write(self.held, False)


class RwSem:
    """A sleeping lock for many readers or one writer. Linux: struct rw_semaphore.

    The kernel has one word for both; here readers count in a cell of their own,
    at which only writers look: who reads at the same time comes in no order.
    Not modelled: fairness; see `FairRwSem`.

    Attributes:
        writer: whether a writer has it.
        readers: how many readers have it.
    """

    __slots__ = ("_read_steps", "readers", "writer")

    def __init__(self, name: tuple[object, ...]) -> None:
        self.writer: Cell[bool] = Cell(name, False)
        self.readers: Cell[int] = Cell((*name, "readers"), 0)
        self._read_steps: dict[str, Step] = {}

    def is_free(self) -> bool:
        """Whether nobody has it."""
        return not self.writer.value and self.readers.value == 0

    def _no_writer(self) -> bool:
        return not self.writer.value

    def read_step(self, fn: str, what: str) -> Step:
        """The label of an action that first takes it for reading."""
        step = self._read_steps.get(what)
        if step is None or step.fn is not fn:
            step = self._read_steps[what] = Step(fn, what, self._no_writer, True)
        return step

    def write_step(self, fn: str, what: str) -> Step:
        """The label of an action that first takes it for writing."""
        return Step(fn, what, self.is_free, True)

    def enter(self, cpu: Cpu) -> None:
        """Be the writer for the rest of this step only. Atomic: call inside a `write_step`."""
        cpu.read(self.readers)
        cpu.rmw(self.writer, lambda _: False)

    def write_once(self, cpu: Cpu, fn: str, what: str) -> Op[None]:
        """Wait until it is free, and be the writer for the rest of that step."""
        yield self.write_step(fn, what)
        self.enter(cpu)

    def write(self, cpu: Cpu, fn: str, what: str) -> Op[None]:
        """Wait until it is free, and be the writer until `up_write`."""
        yield self.write_step(fn, what)
        self.down_write(cpu)

    def down_read(self, cpu: Cpu) -> None:
        """Become a reader. Atomic: call inside a `read_step`."""
        cpu.count(self.readers, 1)
        cpu.read(self.writer)

    def up_read(self, cpu: Cpu) -> None:
        """Stop reading; any task may do it for another."""
        cpu.count(self.readers, -1)

    def down_write(self, cpu: Cpu) -> None:
        """Become the writer. Atomic: call inside a `write_step`."""
        cpu.read(self.readers)
        cpu.rmw(self.writer, lambda _: True)

    def up_write(self, cpu: Cpu) -> None:
        """Stop writing."""
        cpu.rmw(self.writer, lambda _: False)

    def downgrade_write(self, cpu: Cpu) -> None:
        """Stop writing and go on reading: no other writer comes in between."""
        cpu.count(self.readers, 1)
        self.up_write(cpu)


class FairRwSem(RwSem):
    """An rwsem as it is: a writer that waits stops the readers that come after it.

    So who reads already and asks once more waits for a writer that waits for it.
    Several writers that wait are not ordered; readers go on when none is left.
    Linux: lib/rwsem.c (v2.6.29), Documentation/locking of rwsems since.

    Attributes:
        waiting: how many writers wait.
    """

    __slots__ = ("waiting",)

    def __init__(self, name: tuple[object, ...]) -> None:
        super().__init__(name)
        self.waiting: Cell[int] = Cell((*name, "waiting"), 0)

    def _no_writer(self) -> bool:
        return super()._no_writer() and self.waiting.value == 0

    def write_once(self, cpu: Cpu, fn: str, what: str) -> Op[None]:
        """As `write`, for one step."""
        yield from self._queue(cpu, fn, what)
        self.enter(cpu)

    def write(self, cpu: Cpu, fn: str, what: str) -> Op[None]:
        """Queue, wait until it is free, and be the writer until `up_write`."""
        yield from self._queue(cpu, fn, what)
        self.down_write(cpu)

    def _queue(self, cpu: Cpu, fn: str, what: str) -> Op[None]:
        """Wait until it is free; whoever dies meanwhile stops nobody any more."""
        yield Step(fn, f"queue: {what}")
        cpu.add(self.waiting, 1)
        try:
            yield self.write_step(fn, what)
        finally:
            cpu.add(self.waiting, -1)

    def down_read(self, cpu: Cpu) -> None:
        """Become a reader. Atomic: call inside a `read_step`."""
        cpu.read(self.waiting)
        super().down_read(cpu)
