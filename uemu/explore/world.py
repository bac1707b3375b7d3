"""What can be explored: tasks that take steps, a check, and verdicts.

The explorer runs a world from the start again and again, each time in another
order. What it concludes is as good as what the world keeps to:

* Two worlds of one factory, run in one order, do the same.
* What two tasks share is in cells, reached through the task's own CPU, under
  the rules of `uemu.step`. A step that waited reads every cell that its
  condition may look at (R4).
* `World.check` and the verdicts judge what the order of *conflicting* steps
  decides, and nothing finer. A check that breaks in between two steps of two
  tasks that touch no common cell, and holds again later, may be missed under
  reduction: a check shall look at what one step left behind, or at damage
  that stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from uemu.step import Op, RecordingCpu


class Task(Protocol):
    """One thread of the explored world.

    Attributes:
        name: the column of a drawing.
        cpu: the CPU its op runs on.
        op: what it does; label first, effect after.
    """

    @property
    def name(self) -> str: ...
    @property
    def cpu(self) -> RecordingCpu: ...
    @property
    def op(self) -> Op[Any]: ...


class World(Protocol):
    """A small world, made anew for each execution."""

    def tasks(self) -> Sequence[Task]:
        """Its tasks in the order of their creation; a step may append to them.

        The index of a task is its identity in schedules.
        """
        ...

    def check(self) -> None:
        """Whether all is well; called after every step, and without effect.

        Raises:
            InvariantError: a rule does not hold; its kind is the verdict.
        """
        ...

    def finish(self) -> frozenset[str]:
        """The verdicts; called once, when no task can run any more."""
        ...

    def state(self) -> str:
        """The state in a short text, for drawings."""
        ...


WorldFactory = Callable[[], World]
"""Makes the same world again, from the start."""
