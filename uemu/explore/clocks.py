"""Which step happened before which, while an execution grows and shrinks.

Two steps *conflict* when one writes a cell that the other touches, when one
counts what the other reads, when both create tasks (the order of creation
numbers them), or when one took away what the other waited for. Two steps that
count one cell do not: neither looks at it, and sums do not depend on the order.
Two neighbours that do not conflict can change places: each finds what it looks at
as it was, so it does the same, and touches the same.

Step j *happened before* step i if they are of one task, if j created i's task, if
they conflict and j came first, or through a step in between. Two orders of steps
with the same happened-before are of one kind: they end in the same state.

A vector clock is kept as a set of steps, one bit each: bit j of a step's past
says that j happened before it. That makes "earlier, in conflict, and not
ordered" three operations on whole numbers.
"""

from __future__ import annotations

from typing import Any

from uemu.step import Access

_CREATION: tuple[Any, ...] = ("explore", "creation of a task")


def conflict(a: Access, b: Access) -> bool:
    """Whether the order of two steps may matter, by what they touched."""
    one, other = a.writes, b.writes
    if not (one.isdisjoint(other) and one.isdisjoint(b.reads) and a.reads.isdisjoint(other)):
        return True
    if a.counts and not (a.counts.isdisjoint(other) and a.counts.isdisjoint(b.reads)):
        return True
    return bool(b.counts) and not (b.counts.isdisjoint(one) and b.counts.isdisjoint(a.reads))


def covers(a: Access, b: Access) -> bool:
    """Whether whatever conflicts with ``b`` conflicts with ``a``."""
    writes = a.writes
    return b.writes <= writes and b.reads <= a.reads | writes and b.counts <= a.counts | writes


def with_creation(access: Access) -> Access:
    """What a step touched that also created a task."""
    return access._replace(writes=access.writes | {_CREATION})


class Clocks:
    """The past of every step of the execution at hand, a stack.

    Attributes:
        past: for each step the bit set of what happened before it, and itself.
        known: for each task the past of its last step, or of its creation.
    """

    __slots__ = ("_access", "_before", "_changed", "_created", "_losses", "_lost", "_seen",
                 "_task", "_touched", "known", "past")  # fmt: skip

    def __init__(self) -> None:
        self.past: list[int] = []
        self.known: list[int] = []
        self._task: list[int] = []
        self._access: list[Access] = []
        self._before: list[int] = []
        self._created: list[int] = []
        # For each cell the steps that wrote or counted it, that wrote or read it, all.
        self._changed: dict[tuple[Any, ...], int] = {}
        self._seen: dict[tuple[Any, ...], int] = {}
        self._touched: dict[tuple[Any, ...], int] = {}
        self._lost: list[int] = []
        self._losses: list[list[int]] = []

    def begin(self, tasks: int) -> None:
        """Set out with this many tasks."""
        self.known = [0] * tasks
        self._lost = [0] * tasks

    def push(self, task: int, access: Access, created: int) -> int:
        """Add a step; returns the earlier steps it is in a race with, a bit set.

        A race is a conflict that the task could not know of before this step:
        all of them, not only the latest.
        """
        index = len(self.past)
        bit = 1 << index
        before = self.known[task]
        changed, seen, touched = self._changed, self._seen, self._touched
        reads, writes, counts = access
        # Of what stopped this task from running, what came after its last step.
        conflicts = self._lost[task] & -(1 << before.bit_length())
        for cell in writes:
            there = touched.get(cell, 0)
            conflicts |= there
            touched[cell] = there | bit
            changed[cell] = changed.get(cell, 0) | bit
            seen[cell] = seen.get(cell, 0) | bit
        for cell in reads:
            conflicts |= changed.get(cell, 0)
            touched[cell] = touched.get(cell, 0) | bit
            seen[cell] = seen.get(cell, 0) | bit
        for cell in counts:
            conflicts |= seen.get(cell, 0)
            touched[cell] = touched.get(cell, 0) | bit
            changed[cell] = changed.get(cell, 0) | bit
        races = rest = conflicts & ~bit & ~before
        past = before | bit
        while rest:
            past |= self.past[rest.bit_length() - 1]
            rest &= ~past
        self.past.append(past)
        self.known[task] = past
        self.known += [past] * created
        self._lost += [0] * created
        self._task.append(task)
        self._access.append(access)
        self._before.append(before)
        self._created.append(created)
        self._losses.append([])
        return races

    def lose(self, task: int) -> None:
        """Note that the last step made it impossible for a task to run."""
        self._losses[-1].append(task)
        self._lost[task] |= 1 << (len(self.past) - 1)

    def pop(self) -> None:
        """Take the last step back."""
        bit = 1 << (len(self.past) - 1)
        for task in self._losses.pop():
            self._lost[task] ^= bit
        reads, writes, counts = self._access.pop()
        changed, seen, touched = self._changed, self._seen, self._touched
        for cell in writes:
            touched[cell] ^= bit
            changed[cell] ^= bit
            seen[cell] ^= bit
        for cell in reads - writes:
            touched[cell] ^= bit
            seen[cell] ^= bit
        for cell in counts:
            touched[cell] ^= bit
            changed[cell] ^= bit
        created = self._created.pop()
        if created:
            del self.known[-created:]
            del self._lost[-created:]
        self.known[self._task.pop()] = self._before.pop()
        self.past.pop()

    def before(self, index: int) -> int:
        """What the task of a step knew before it, a bit set."""
        return self._before[index]

    def firsts(self, j: int, within: int) -> int:
        """The tasks that could go first where step ``j`` stands; a bit set of tasks.

        Of the steps ``within`` that came after ``j`` and do not depend on it,
        those that depend on none of the others.
        """
        tasks = seen = 0
        rest = within & -(2 << j)
        while rest:
            low = rest & -rest
            rest ^= low
            k = low.bit_length() - 1
            past = self.past[k]
            if not past >> j & 1:
                if not past & seen:
                    tasks |= 1 << self._task[k]
                seen |= low
        return tasks
