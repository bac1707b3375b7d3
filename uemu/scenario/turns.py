"""Turns: what it means to tell a scenario in order, whoever carries it out.

A turn is the next action of a thread, run to its end with nothing in between,
with the waits before it and the signals after it. An action that cannot go on
is parked. Its turn stays owed and is looked at again after every turn: if it
goes on in the end, that is ``fork-blocked``; if not, ``deadlock``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Protocol

from uemu.oracle.violations import Violation
from uemu.scenario.script import Scenario


class Went(enum.Enum):
    """How far somebody came with a turn: not at all, some way, to its end."""

    NOWHERE = enum.auto()
    SOME_WAY = enum.auto()
    THROUGH = enum.auto()


class Actor(Protocol):
    """A thread or a child, with its script."""

    @property
    def mm(self) -> int:
        """Its address space."""
        ...

    @property
    def over(self) -> bool:
        """Whether its script has come to its end."""
        ...

    @property
    def waits_for(self) -> str | None:
        """What it stands before and cannot do, in the kernel's words, if anything."""
        ...

    def go_on(self) -> Went:
        """Begin a turn, or go on with one that could not be finished, as far as it goes."""
        ...


class Turns:
    """Who is owed how many turns.

    Args:
        actors: by name, in the order of their births; the caller adds children.
    """

    def __init__(self, scenario: Scenario, actors: Mapping[str, Actor]) -> None:
        self._told = f"the order {scenario.order!r} of {scenario.name}"
        self._actors = actors
        # In the order in which they fell behind.
        self._owed: dict[str, int] = {}

    def give(self, name: str) -> None:
        """Give a thread a turn, and then those who are owed one.

        Raises:
            ValueError: it is not there yet, or has nothing left to do.
        """
        self._owed[name] = self._owed.get(name, 0) + 1
        moved = self._take(name)
        while moved:
            moved = False
            for other in list(self._owed):
                moved |= self._take(other)

    def _take(self, name: str) -> bool:
        """Take a turn that is owed, as far as it goes; whether that was any way at all."""
        actor = self._actors.get(name)
        if actor is None:
            if any(other in self._actors for other in self._owed):
                return False  # a fork that has to happen first
            raise ValueError(f"{self._told} has {name!r} before it is there")
        if actor.over:
            raise ValueError(f"{self._told} has {name!r} once too often")
        went = actor.go_on()
        if went is Went.THROUGH:
            self._owed[name] -= 1
            if not self._owed[name]:
                del self._owed[name]
        return went is not Went.NOWHERE

    def deadlocks(self) -> tuple[Violation, ...]:
        """Who waits still, when the order is told.

        Raises:
            ValueError: somebody has something left to do, and nobody waits.
        """
        unfinished = [name for name, actor in self._actors.items() if not actor.over]
        if unfinished and not self._owed:
            raise ValueError(f"{self._told} leaves {', '.join(unfinished)} unfinished")
        return tuple(
            Violation("deadlock", actor.mm, 0, 0, None,
                      f"{name} waits for ever in {actor.waits_for}", ())
            for name, actor in self._actors.items() if actor.waits_for is not None
        )  # fmt: skip
