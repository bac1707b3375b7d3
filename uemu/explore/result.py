"""What an exploration found, and whether it was all there is."""

from __future__ import annotations

from dataclasses import dataclass, field

from uemu.explore.execution import LIVELOCK, Run


@dataclass(frozen=True, slots=True)
class Trial:
    """One execution, as a strategy reports it.

    Attributes:
        schedule: who took the steps.
        verdicts: what it showed.
        redundant: whether it is an order of steps that was seen in another guise.
    """

    schedule: tuple[int, ...]
    verdicts: frozenset[str]
    redundant: bool = False

    @property
    def is_cut(self) -> bool:
        """Whether it was ended by the bound on its length."""
        return LIVELOCK in self.verdicts


@dataclass(slots=True)
class Exploration:
    """What is known when an exploration ends, or is interrupted.

    Attributes:
        schedules: executions that ran to their end.
        redundant: executions given up as equivalent to an earlier one.
        steps: steps taken in all, those of repeated beginnings included.
        deepest: steps of the longest execution.
        exhaustive: whether no order of steps is left that could show anything
            else; False when a bound, a wish to stop, or a person ended it.
        interrupted: whether a person ended it.
        verdicts: the first run that showed each verdict, in the order found.
    """

    schedules: int = 0
    redundant: int = 0
    steps: int = 0
    deepest: int = 0
    exhaustive: bool = False
    interrupted: bool = False
    verdicts: dict[str, Run] = field(default_factory=dict)

    @property
    def executions(self) -> int:
        """Executions of either sort."""
        return self.schedules + self.redundant
