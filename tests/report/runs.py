"""Hand-made runs to draw: what an explorer would hand over, without one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from uemu.step import Step


@dataclass(frozen=True)
class MadeStep:
    index: int
    task_index: int
    task_name: str
    step: Step
    state: str


@dataclass(frozen=True)
class MadeRun:
    schedule: str
    records: Sequence[MadeStep]
    verdicts: Collection[str] = ()


def made_run(
    tasks: Sequence[str], *steps: tuple[str, str, str, str], verdicts: str = ""
) -> MadeRun:
    """A run of ``(task, fn, what, state)`` steps."""
    records = [
        MadeStep(index, tasks.index(task), task, Step(fn, what), state)
        for index, (task, fn, what, state) in enumerate(steps)
    ]
    digits = "".join("0123456789abcdefghijklmnopqrstuvwxyz"[each.task_index] for each in records)
    return MadeRun(f"uemu1:{digits}", records, frozenset(verdicts.split()))
