"""How to see a run again: the last lines of every report of a violation."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence

from uemu.report.story import verdict_text


def replay_command(
    scenario: str,
    policy: str,
    schedule: object,
    *,
    ipi_waits_for_gup_fast: bool = True,
    memory_model: str = "sc",
) -> str:
    """The command that runs one schedule again, in one line to paste."""
    switches = "" if ipi_waits_for_gup_fast else " --no-ipi-wait"
    if memory_model != "sc":
        switches += f" --memory-model {memory_model}"
    return f"uemu replay {scenario} --policy {policy}{switches} {schedule}"


def run_command(program: Sequence[str], policy: str, *, dma: str, seed: int, hold_ms: int) -> str:
    """The command that runs a program again under the same schedule, in one line to paste.

    Args:
        dma: when transfers are over: immediate, held, random.
        hold_ms: how long one is held at most.
    """
    schedule = f"--dma {dma} --seed {seed} --hold-ms {hold_ms}"
    return f"uemu run --policy {policy} {schedule} -- {shlex.join(program)}"


def way_back(scenario: str, policy: str, verdicts: Collection[str], command: str) -> list[str]:
    """What was violated where, and the way back to it."""
    return [
        f"{verdict_text(verdicts)} under {policy} in {scenario}",
        f"replay:  {command}",
    ]
