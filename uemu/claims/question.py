"""A question to the explorer, with the answer that a claim gives.

What exists is shown by one run: the search stops there. What does not exist takes
every order; where that are too many, the answer says that it was bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

from uemu.claims.where import Where
from uemu.explore import explore, shrink
from uemu.report.story import in_order

SHRINKING = 400
"""Executions that may be spent to make the schedule of a violation short."""


MANY = 3
"""More kinds than these are not listed in a line."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found.

    Attributes:
        holds: whether it is what the claim says.
        text: in words.
        where: the world searched, or measured.
        schedules: orders that ran to their end.
        exhaustive: whether no order is left that could show anything else.
        schedule: a run that shows what exists.
        asked: what was looked for, or measured.
    """

    holds: bool
    text: str
    where: Where
    schedules: int = 0
    exhaustive: bool = False
    schedule: str | None = None
    asked: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        where, schedule = self.where, self.schedule
        return {
            "scenario": where.scenario,
            "policy": where.policy,
            "memory_model": where.memory_model,
            "ipi_waits_for_gup_fast": where.ipi_wait,
            "asked": list(self.asked),
            "as_claimed": self.holds,
            "found": self.text,
            "schedules": self.schedules,
            "exhaustive": self.exhaustive,
            "schedule": schedule,
            "replay": None if schedule is None else where.replay_command(schedule),
        }


class Question(Protocol):
    """What a reading asks; equal ones are asked once."""

    def ask(self) -> Answer:
        """Find out."""
        ...

    def instead(self, other: Swap) -> Question:
        """The same question about another world: the negative control of a claim."""
        ...


@dataclass(frozen=True, slots=True)
class Swap:
    """One thing in place of another: a policy, or a scenario."""

    old: str
    new: str

    def __call__(self, name: str) -> str:
        return self.new if name == self.old else name

    def where(self, where: Where) -> Where:
        """The world with it."""
        return replace(where, scenario=self(where.scenario), policy=self(where.policy))


@dataclass(frozen=True, slots=True)
class Search:
    """Whether some order of steps of a world shows one of these.

    Attributes:
        kinds: violations, or what the world's watch names.
        claimed: what the claim says.
        most: orders to run at most; None is all there are.
    """

    where: Where
    kinds: frozenset[str]
    claimed: bool
    most: int | None = None

    def ask(self) -> Answer:
        """Search until one is found; make its schedule short."""
        found = explore(self.where, wanted=self.kinds, stop_at_first=True, max_schedules=self.most)
        if found.interrupted:
            raise KeyboardInterrupt  # what was not looked at is no answer
        shown = [kind for kind in found.verdicts if kind in self.kinds]
        asked = tuple(in_order(self.kinds))
        if not shown:
            orders = "its one order" if found.schedules == 1 else f"its {found.schedules} orders"
            if not found.exhaustive:
                orders = f"{found.schedules} orders, which are not all"
            text = f"{self.where}: no {_named(self.kinds)} in {orders}"
            return Answer(
                not self.claimed, text, self.where, found.schedules, found.exhaustive, None, asked
            )
        kind = shown[0]
        run = shrink(self.where, found.verdicts[kind], kind, max_executions=SHRINKING)
        return Answer(
            self.claimed,
            f"{self.where}: {kind}",
            self.where,
            found.schedules,
            found.exhaustive,
            str(run.schedule),
            asked,
        )

    def instead(self, other: Swap) -> Search:
        """The same question about another world."""
        return replace(self, where=other.where(self.where))


def _named(kinds: frozenset[str]) -> str:
    """Kinds in words; many are not listed."""
    if len(kinds) > MANY:
        return f"violation, of {len(kinds)} kinds,"
    return " or ".join(in_order(kinds))


def shows(kinds: str, scenario: str, policy: str, **how: Any) -> Search:
    """Some order shows one of ``kinds``; ``how``: what `Where` takes."""
    return Search(Where(scenario, policy, **how), frozenset(kinds.split()), True)


def never(kinds: str, scenario: str, policy: str, *, most: int | None = None, **how: Any) -> Search:
    """No order shows any of ``kinds``."""
    return Search(Where(scenario, policy, **how), frozenset(kinds.split()), False, most)
