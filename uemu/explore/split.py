"""Sharing out a search, so that nothing is lost and nothing is run twice.

Without reduction that is simple: orders that begin differently have nothing to do
with each other. With reduction a search that looks at one branch of a node finds
out what is wanted at that node, and at those above. So the nodes above the place
of a split are common property. A *path* of them is copied into every search that
goes through them; the search adds to ``wanted`` in its copies, below its
``floor``, and whoever shares out collects that here and makes a new search of
each task that nobody has tried there.

Claim: what is run is what one search alone might have run. `dpor` argues for each
node from three things: whoever is wanted there is tried or asleep; who was tried
before is asleep in later branches unless the step conflicts; and what it touched
is known. They hold here too. The branches of a common node have an order, that in
which they were given away, and each puts to sleep those before it: it does not
matter which of them is through first, only that each gets there, and that no two
sleep for each other. What the step of a branch touches we find out by taking it
once, before the next one is given away. A copy may not know yet what the others
want: then it wants too much, which is no mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from uemu.errors import InvariantError
from uemu.explore.clocks import with_creation
from uemu.explore.dfs import DepthFirst
from uemu.explore.dpor import Node, Reduction
from uemu.explore.execution import Execution
from uemu.explore.sampling import Samples
from uemu.explore.search import Search
from uemu.step import Access


class Splitter(Protocol):
    """Makes several searches of one; it stays with whoever shares out."""

    def divide(self, search: Search) -> Sequence[Search]:
        """Take a part from a search that nobody runs now; empty if it has none to give."""
        ...

    def learn(self, search: Search) -> Sequence[Search]:
        """What has to be searched besides, by what a search has found out."""
        ...


class Halves:
    """For searches whose parts have nothing to do with each other."""

    def divide(self, search: Search) -> Sequence[Search]:
        """Take a part from it."""
        assert isinstance(search, DepthFirst | Samples)
        part = search.split()
        return [] if part is None else [part]

    def learn(self, search: Search) -> Sequence[Search]:
        """Nothing."""
        return []


class Tree:
    """For `dpor`: the nodes that several searches have in common.

    Attributes:
        nodes: by the tasks on the way to it. Of each, ``tried`` are those tasks whose
            branches were given away, or are being run, and ``skip`` says the same.
    """

    def __init__(self) -> None:
        self.nodes: dict[tuple[int, ...], Node] = {}

    def divide(self, search: Search) -> Sequence[Search]:
        """Make common the nodes down to the first where somebody else is wanted."""
        assert isinstance(search, Reduction)
        for depth in range(search.floor, len(search.stack)):
            if _left(search.stack[depth]) & ~(1 << search.stack[depth].task):
                break
        else:
            return []
        for node in search.stack[search.floor : depth + 1]:
            self.nodes[_way(search, search.floor)] = replace(
                node,
                tried={**node.tried, node.task: node.access},
                skip=node.skip | 1 << node.task,
            )
            search.floor += 1
        return self.learn(search)

    def learn(self, search: Search) -> Sequence[Search]:
        """Collect what it wants at common nodes; a search for each that is new."""
        assert isinstance(search, Reduction)
        found: list[Search] = []
        for depth in range(search.floor):
            way = _way(search, depth)
            self.nodes[way].wanted |= search.stack[depth].wanted
            while _left(self.nodes[way]):
                found.append(self._branch(search, way))
        return found

    def _branch(self, search: Reduction, way: tuple[int, ...]) -> Reduction:
        """A search for the lowest task that is left at a node."""
        node = self.nodes[way]
        left = _left(node)
        task = (left & -left).bit_length() - 1
        path = []
        for depth, step in enumerate(way):
            above = self.nodes[way[:depth]]
            path.append(replace(above, task=step, access=above.tried[step], tried={}))
        path.append(replace(node, task=task, tried=dict(node.tried)))
        node.tried[task] = _touched(search, [*way, task], node.runnable)
        node.skip |= 1 << task
        branch = Reduction(search.factory, path=path, max_steps=search.max_steps)
        branch.executions = search.executions
        return branch


def _way(search: Reduction, depth: int) -> tuple[int, ...]:
    return tuple(node.task for node in search.stack[:depth])


def _left(node: Node) -> int:
    return 0 if node.idle else node.wanted & ~node.skip


def _touched(search: Reduction, schedule: Sequence[int], runnable: Sequence[int]) -> Access:
    """What the last step of a schedule touches."""
    execution = Execution(search.factory)
    execution.rewind(schedule[:-1], runnable)
    tasks = len(execution.tasks)
    with suppress(InvariantError):  # whoever takes it for good will tell
        execution.advance(schedule[-1])
    access = execution.take_accesses(schedule[-1])
    return with_creation(access) if len(execution.tasks) > tasks else access
