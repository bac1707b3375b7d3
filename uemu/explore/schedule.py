"""An order of steps, and its text: ``uemu1:01122002``.

``uemu1:`` names the format; after it stands one digit for each step, the index
of the task that takes it. Digits go on with letters after 9. The text means
the same as long as the steps of the kernel and the numbering of the tasks do:
whoever cuts a step in two raises `FORMAT`.
"""

from __future__ import annotations

from collections.abc import Iterable

from uemu.errors import UemuError

FORMAT = 1
"""Raised when the schedules of an earlier uemu no longer mean the same."""

PREFIX = f"uemu{FORMAT}:"
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

_VALUES = {digit: value for value, digit in enumerate(DIGITS)}
_EXAMPLE = f"a schedule looks like {PREFIX}01122002"


class ScheduleError(UemuError):
    """A schedule wants a task to run that cannot run.

    Attributes:
        index: the number of the step, from 0.
        task: the index of the task the schedule names.
        runnable: names of the tasks that can run there.
    """

    def __init__(self, index: int, task: int, who: str, runnable: tuple[str, ...]) -> None:
        can = ", ".join(runnable) if runnable else "nobody, the run is over"
        super().__init__(f"step {index}: task {DIGITS[task]} ({who}) cannot run; who can: {can}")
        self.index = index
        self.task = task
        self.runnable = runnable


class Schedule(tuple[int, ...]):
    """The indices of the tasks that take the steps, first to last."""

    __slots__ = ()

    def __new__(cls, tasks: Iterable[int] = ()) -> Schedule:
        schedule = super().__new__(cls, tasks)
        for index, task in enumerate(schedule):
            if not 0 <= task < len(DIGITS):
                raise ValueError(
                    f"step {index} names task {task}; a schedule can name 0 to {len(DIGITS) - 1}"
                )
        return schedule

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read the text form.

        Raises:
            ValueError: what is wrong with it, where, and what a right one looks like.
        """
        if not text.startswith(PREFIX):
            raise ValueError(f"schedule {text!r} does not begin with {PREFIX!r}; {_EXAMPLE}")
        for column, digit in enumerate(text[len(PREFIX) :], start=len(PREFIX) + 1):
            if digit not in _VALUES:
                raise ValueError(
                    f"schedule {text!r} has {digit!r} in column {column}, "
                    f"which is not one of {DIGITS}; {_EXAMPLE}"
                )
        return cls(_VALUES[digit] for digit in text[len(PREFIX) :])

    def __str__(self) -> str:
        return PREFIX + "".join(DIGITS[task] for task in self)

    def __repr__(self) -> str:
        return f"Schedule({str(self)!r})"
