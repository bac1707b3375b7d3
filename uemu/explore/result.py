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
class Tally:
    """Executions, counted.

    Attributes:
        schedules: executions that ran to their end.
        redundant: executions given up as equivalent to an earlier one.
        steps: steps taken in all, those of repeated beginnings included.
        deepest: steps of the longest execution.
        tasks: tasks that took steps in one execution, at most.
        cut: whether an execution was ended by the bound on its length.
        shown: for each verdict an execution that showed it, in the order found.
    """

    schedules: int = 0
    redundant: int = 0
    steps: int = 0
    deepest: int = 0
    tasks: int = 0
    cut: bool = False
    shown: dict[str, Trial] = field(default_factory=dict)

    @property
    def executions(self) -> int:
        """Executions of either sort."""
        return self.schedules + self.redundant

    def add(self, trial: Trial) -> None:
        """Count one more; of each verdict the first to show it is kept."""
        if trial.redundant:
            self.redundant += 1
        else:
            self.schedules += 1
        self.steps += len(trial.schedule)
        self.deepest = max(self.deepest, len(trial.schedule))
        self.tasks = max(self.tasks, 1 + max(trial.schedule, default=-1))
        self.cut = self.cut or trial.is_cut
        for kind in sorted(trial.verdicts):
            self.shown.setdefault(kind, trial)

    def merge(self, other: Tally) -> None:
        """Count what another has counted; of each verdict the first in order is kept.

        Which worker is through first is chance: the order of schedules is not.
        """
        self.schedules += other.schedules
        self.redundant += other.redundant
        self.steps += other.steps
        self.deepest = max(self.deepest, other.deepest)
        self.tasks = max(self.tasks, other.tasks)
        self.cut = self.cut or other.cut
        for kind, trial in other.shown.items():
            if kind not in self.shown or trial.schedule < self.shown[kind].schedule:
                self.shown[kind] = trial


@dataclass(slots=True)
class Exploration(Tally):
    """What is known when an exploration ends, or is interrupted.

    Attributes:
        complete: whether every execution that was asked for was run: within a bound
            on preemptions all there are, of a sampler as many as it should take.
        exhaustive: whether no order of steps is left that could show anything
            else; False when a bound, a wish to stop, or a person ended it.
        interrupted: whether a person ended it.
        deaths: how often a worker was lost; its part was given to another one.
        verdicts: a run that showed each verdict, in the order found.
    """

    complete: bool = False
    exhaustive: bool = False
    interrupted: bool = False
    deaths: int = 0
    verdicts: dict[str, Run] = field(default_factory=dict)
