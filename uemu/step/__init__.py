"""Steps, operations, cells and CPUs: how kernel code is written here.

A kernel operation is a generator. It yields a `Step` *before* each atomic
action and performs the action when it is resumed: run to its end it is the
kernel of a live machine, advanced one step at a time it is a model.

Everything two CPUs can touch is a `Cell`, and kernel code reaches a cell
through the `Cpu` it runs on, never directly. A plain `Cpu` goes straight to
the cell; a `RecordingCpu` also notes what it touched, which is how an
explorer learns which steps conflict.

Rules for code that yields:

R1  the label first, the effect after.
R2  before the first yield neither change nor read shared state.
R3  what was read before a yield is stale after it: look again or hold a lock.
R4  a wait is a Step with ``enabled``, never a loop that yields; the step that
    waited reads, as its first action, the cells its condition looked at.
R5  one step is one hold of a spinlock or one atomic instruction; where code
    without that lock could look in between, cut the hold in two.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """The label of one atomic action that is about to happen.

    Attributes:
        fn: the kernel function it belongs to, under that kernel's name.
        what: the action in a few words, for drawings.
        enabled: None, or whether the action can happen now. It may look at
            cells with ``peek`` and must have no effect.
        locked: whether a locked instruction belongs to the action, whichever way it goes.
    """

    fn: str
    what: str = ""
    enabled: Callable[[], bool] | None = None
    locked: bool = False

    def is_enabled(self) -> bool:
        """Whether the action can happen now."""
        return self.enabled is None or self.enabled()


Op = Generator[Step, None, T]
"""A kernel operation that returns a ``T``."""


class Cell(Generic[T]):
    """One word of shared state.

    Attributes:
        name: a stable, printable, hashable name: ``("pte", mm, base)``.
        value: what it holds; only a Cpu and diagnostics go here directly.
    """

    __slots__ = ("name", "value")

    def __init__(self, name: tuple[Any, ...], value: T) -> None:
        self.name = name
        self.value = value

    def peek(self) -> T:
        """Look without being a CPU: for ``enabled`` conditions, checks, drawings."""
        return self.value

    def __repr__(self) -> str:
        return f"Cell({self.name}: {self.value!r})"


CellNames = frozenset[tuple[Any, ...]]


class Access(NamedTuple):
    """What a step touched: names of cells, each in one place only, or read and written.

    Attributes:
        reads: looked at.
        writes: set, or changed with a look at what they were.
        counts: counted up or down, by a number that does not depend on them, and
            not looked at.
    """

    reads: CellNames = frozenset()
    writes: CellNames = frozenset()
    counts: CellNames = frozenset()

    def __or__(self, other: Access) -> Access:
        """What one step touched that is both."""
        return access_of(
            self.reads | other.reads, self.writes | other.writes, self.counts | other.counts
        )


def access_of(reads: CellNames, writes: CellNames, counts: CellNames) -> Access:
    """What a step touched that did all this: a counter that is looked at, too, is written."""
    seen = counts & (reads | writes)
    return Access(reads, writes | seen, counts - seen) if seen else Access(reads, writes, counts)


class Cpu:
    """A CPU under sequential consistency.

    Attributes:
        name: the thread or task that runs on it; a column of a drawing.
        irqs_off: true while interrupts are disabled, so that an IPI waits.
    """

    __slots__ = ("irqs_off", "name")

    recording = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.irqs_off: Cell[bool] = Cell(("irqs_off", name), False)

    def read(self, cell: Cell[T]) -> T:
        """Load from a cell."""
        return cell.value

    def write(self, cell: Cell[T], value: T) -> None:
        """Store to a cell."""
        cell.value = value

    def put(self, cell: Cell[T], value: T) -> None:
        """Set what is no memory, a TLB entry or a flag of the CPU: nothing delays it."""
        self.write(cell, value)

    def rmw(self, cell: Cell[T], f: Callable[[T], T]) -> T:
        """Replace a cell's value atomically (a locked instruction); the old one."""
        old = cell.value
        cell.value = f(old)
        return old

    def add(self, cell: Cell[int], n: int) -> int:
        """Add atomically and return the new value. Linux: atomic_add_return()."""
        cell.value += n
        return cell.value

    def count(self, cell: Cell[int], n: int) -> None:
        """Add atomically and look at nothing: two of these commute. Linux: atomic_add()."""
        cell.value += n

    def mb(self) -> None:
        """A full memory barrier. Linux: smp_mb()."""

    def serialize(self, by: Cpu) -> None:
        """Finish all stores, as a flush of the TLB does; ``by`` takes the step it happens in."""

    def enter(self, lock: Cell[T], held: T, free: T) -> None:
        """Hold a spinlock for the rest of this step: nobody sees it taken.

        Args:
            lock: the lock's word, and what it holds while it is ``held`` or ``free``.
        """
        self.read(lock)

    def keep(self, lock: Cell[T], held: T) -> None:
        """Hold a spinlock over the coming steps; `enter` may have come before in this one."""
        self.write(lock, held)

    def has_stores(self) -> bool:
        """Whether stores wait that others do not see yet."""
        return False

    def label(self, step: Step) -> Step:
        """What to yield for a step: on some CPUs it waits for more than it says."""
        return step

    def begin_step(self, step: Step) -> None:
        """The action behind a label begins."""

    def end_step(self) -> None:
        """The action behind a label is done."""

    def touch(self, name: tuple[Any, ...], *, write: bool) -> None:
        """Say that shared state outside any cell (a frame's bytes) is accessed."""

    def __repr__(self) -> str:
        return f"Cpu({self.name})"


class RecordingCpu(Cpu):
    """A CPU that notes the cells it touches.

    Attributes:
        reads, writes, counts: names of the cells touched since `take_accesses`.
    """

    __slots__ = ("counts", "reads", "writes")

    recording = True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.reads: dict[tuple[Any, ...], None] = {}
        self.writes: dict[tuple[Any, ...], None] = {}
        self.counts: dict[tuple[Any, ...], None] = {}

    def read(self, cell: Cell[T]) -> T:
        self.reads[cell.name] = None
        return cell.value

    def write(self, cell: Cell[T], value: T) -> None:
        self.writes[cell.name] = None
        cell.value = value

    def rmw(self, cell: Cell[T], f: Callable[[T], T]) -> T:
        self.writes[cell.name] = None
        return super().rmw(cell, f)

    def add(self, cell: Cell[int], n: int) -> int:
        self.writes[cell.name] = None
        return super().add(cell, n)

    def count(self, cell: Cell[int], n: int) -> None:
        self.counts[cell.name] = None
        super().count(cell, n)

    def touch(self, name: tuple[Any, ...], *, write: bool) -> None:
        (self.writes if write else self.reads)[name] = None

    def take_accesses(self) -> Access:
        """What was touched since the last call, and forget it."""
        reads, writes = frozenset(self.reads), frozenset(self.writes)
        self.reads.clear()
        self.writes.clear()
        if not self.counts:
            return Access(reads, writes)
        counts = frozenset(self.counts)
        self.counts.clear()
        return access_of(reads, writes, counts)


class Stuck(Exception):
    """Raised by `run` when an operation stands before a step that is not enabled."""

    def __init__(self, step: Step) -> None:
        super().__init__(f"{step.fn}: {step.what}")
        self.step = step


def run(op: Op[T]) -> T:
    """Run an operation to its end with nothing in between.

    Raises:
        Stuck: a step is not enabled; the operation is closed.
    """
    try:
        while True:
            step = next(op)
            if step.enabled is not None and not step.enabled():
                op.close()
                raise Stuck(step)
    except StopIteration as stop:
        result: T = stop.value
        return result
