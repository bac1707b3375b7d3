"""What claims ask for that is no violation: who left a frame first, and such.

A watch listens to a world's events. What it names joins the verdicts of the run.
What it remembers from one event to the next is shared by the tasks: it is in a
cell, so that steps whose order matters to the watch conflict (`uemu.explore.world`).
The steps themselves are those of the world without it, and so are its schedules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from uemu.kernel import Kernel
from uemu.oracle.judge import Oracle
from uemu.scenario.tasks import Task
from uemu.step import Cell


class Watched(Protocol):
    """The world a watch looks at, its setup done."""

    @property
    def kernel(self) -> Kernel: ...
    @property
    def oracle(self) -> Oracle: ...
    @property
    def seen(self) -> list[tuple[str, bytes | None]]: ...
    def threads(self) -> Sequence[Task]:
        """Its tasks."""
        ...


class Watch:
    """Nothing is looked for; those below look.

    Attributes:
        names: the kinds it can name, and what each means.
    """

    names: ClassVar[dict[str, str]] = {}

    def __init__(self, world: Watched) -> None:
        self.world = world
        self.found: set[str] = set()

    def touch(self, cpu: str, pfn: int, *, write: bool) -> None:
        """Note that the step at hand looks at what is remembered of a frame, or changes it."""
        self._touch(cpu, ("watch", pfn), write)

    def look_at(self, cpu: str, cell: Cell[Any]) -> None:
        """Note that it matters whether the step at hand comes before or after a change of this."""
        self._touch(cpu, cell.name, False)

    def _touch(self, cpu: str, name: tuple[Any, ...], write: bool) -> None:
        for task in self.world.threads():
            if task.cpu.name == cpu:
                task.cpu.touch(name, write=write)

    def kinds(self) -> frozenset[str]:
        """What was seen, now that the run is over."""
        return frozenset(self.found)
