"""A program under one kernel after the other: a table, and from which kernel on it is safe.

A kernel is one that was released and that others followed; a proposal is never
"from here on". What was not tested is not called safe.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from uemu.live.program.result import RunResult
from uemu.policy.registry import KERNELS, summary_of
from uemu.report.columns import Column, fit, lay_out
from uemu.report.repeat_report import Tally, tally_json
from uemu.report.run_report import (
    PREFIX,
    prefixed,
    signal_text,
    suppressed_lines,
    violations_json,
    wrapped,
)
from uemu.report.story import in_order, verdict_text
from uemu.report.width import WIDEST, report_width

SAFE: Final = "safe"
VIOLATED: Final = "VIOLATED"
UNTESTED: Final = "untested"
CANNOT: Final = "cannot be"

COLUMNS: Final = (
    Column("policy"),
    Column("verdict"),
    Column("what was violated", least=14),
    Column("exit", least=4),
    Column("I/O"),
    Column("forked"),
    Column("written"),
)
LEGEND: Final = (
    "I/O: transfers; forked: those that overlapped a fork; written: those that saw a later write"
    " to their pages; untested: no fork met a transfer"
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What the runs under one policy gave.

    Attributes:
        policy: its name.
        reason: why no program can be run under it, or None.
        tally: the counts.
        violating: the first run that violated something.
        command: what runs that one again.
    """

    policy: str
    reason: str | None = None
    tally: Tally = field(default_factory=Tally)
    violating: RunResult | None = None
    command: str = ""

    @property
    def verdict(self) -> str:
        """One of the four words."""
        if self.reason is not None:
            return CANNOT
        if self.tally.kinds:
            return VIOLATED
        return SAFE if self.tally.stats.transfers_over_fork else UNTESTED

    @property
    def kernel(self) -> str | None:
        """The version of the kernel it stands for, or None: it is a proposal."""
        return self.policy.removeprefix("linux-") if self.policy in KERNELS else None


def check_lines(checked: Sequence[Checked], interrupted: str | None = None) -> list[str]:
    """The table, those that cannot be with their reasons, and what follows from it.

    Args:
        interrupted: where somebody ended the check, if so.
    """
    ran = [each for each in checked if each.reason is None]
    lines = [*table_lines(ran), *wrapped(LEGEND)] if ran else []
    lines += suppressed_lines(sum((each.tally.suppressed for each in ran), Counter[str]()))
    cannot = [each for each in checked if each.reason is not None]
    for each in cannot:
        lines += wrapped(f"not run: {each.policy}: {each.reason}")
    if ran:
        lines += prefixed("")
        for line in conclusion(ran, interrupted):
            lines += wrapped(line)
    worst = [each for each in ran if each.violating is not None]
    if worst:
        lines += prefixed(f"replay:  {worst[-1].command}")
    return lines


def table_lines(checked: Sequence[Checked]) -> list[str]:
    """One row for each policy."""
    rows = [_row(each) for each in checked]
    width = report_width() - len(PREFIX)
    # Names are not folded: a terminal that is too narrow for them breaks lines itself.
    widths = fit(COLUMNS, rows, width) or fit(COLUMNS, rows, WIDEST - len(PREFIX))
    assert widths is not None, "names of policies are no wider than a terminal"
    return prefixed(*lay_out(COLUMNS, rows, widths))


def _row(checked: Checked) -> list[str]:
    tally = checked.tally
    kinds = in_order(tally.kinds)
    if tally.runs > 1:
        kinds = [f"{kind} in {tally.kinds[kind]} of {tally.runs}" for kind in kinds]
    stats = tally.stats
    numbers = stats.transfers, stats.transfers_over_fork, stats.transfers_written_after
    exits = ", ".join(signal_text(status) for status in sorted(tally.exits))
    return [checked.policy, checked.verdict, ", ".join(kinds), exits, *map(str, numbers)]


def conclusion(checked: Sequence[Checked], interrupted: str | None = None) -> tuple[str, str]:
    """From which kernel on it is safe, and why: two lines."""
    if interrupted is not None:
        return (
            "from which kernel on it is safe is not known",
            f"why: interrupted {interrupted}: what came after was not run",
        )
    kernels = [each for each in checked if each.kernel is not None]
    if not kernels:
        return _of_proposals(checked)
    first = first_safe(checked)
    newest = kernels[-1]
    if first is None and newest.verdict == UNTESTED:
        return (
            f"safe from no kernel on, as far as was seen: {newest.policy} was not tested",
            "why: no fork met a transfer; --repeat N, --dma random and --hold-ms N try more",
        )
    if first is None:
        kinds = verdict_text(newest.tally.kinds)
        return (
            f"safe from no kernel on: {newest.policy}, the newest of them, shows {kinds}",
            f"why: {newest.policy}: {summary_of(newest.policy)}",
        )
    before = kernels[: kernels.index(first)]
    if not before:
        stats = first.tally.stats
        return (
            f"safe from {first.kernel} on: under none of them was anything violated",
            f"why: {stats.transfers_over_fork} of {stats.transfers} transfers overlapped a fork,"
            f" none was harmed under {first.policy} or later",
        )
    last = before[-1]
    shows = f"shows {verdict_text(last.tally.kinds)}" if last.tally.kinds else "was not tested"
    return (
        f"safe from {first.kernel} on: {last.policy} before it {shows}",
        f"why: {first.policy}: {summary_of(first.policy)}",
    )


def _of_proposals(checked: Sequence[Checked]) -> tuple[str, str]:
    safe = [each.policy for each in checked if each.verdict == SAFE]
    return (
        f"safe under {', '.join(safe) or 'none of them'}",
        "why: no released kernel was asked; see uemu explain POLICY for each one's rules",
    )


def first_safe(checked: Sequence[Checked]) -> Checked | None:
    """The first kernel that is safe as are all later ones."""
    first = None
    for each in checked:
        if each.kernel is not None:
            first = (first or each) if each.verdict == SAFE else None
    return first


# For programs


def check_json(
    checked: Sequence[Checked], program: Sequence[str], interrupted: str | None = None
) -> dict[str, Any]:
    """What was found as one object; addresses are integers."""
    first = first_safe(checked) if interrupted is None else None
    ran = [each for each in checked if each.reason is None]
    return {
        **_head(program),
        "first_safe": first.policy if first else None,
        "why": list(conclusion(ran, interrupted)) if ran else [],
        "interrupted": interrupted is not None,
        "policies": [_checked_json(each) for each in checked],
    }


def check_failure_json(error: str, program: Sequence[str]) -> dict[str, Any]:
    """The object of a check that uemu could not make."""
    return {**_head(program), "first_safe": None, "policies": [], "error": error}


def _head(program: Sequence[str]) -> dict[str, Any]:
    return {"uemu": 1, "command": "check", "program": list(program)}


def _checked_json(checked: Checked) -> dict[str, Any]:
    head = {
        "policy": checked.policy,
        "kernel": checked.kernel,
        "verdict": checked.verdict.lower(),
        "reason": checked.reason,
    }
    if checked.reason is not None:
        return head
    violating = checked.violating
    return {
        **head,
        **tally_json(checked.tally),
        "violations": violations_json(violating) if violating is not None else [],
        "replay": checked.command or None,
        "stats": asdict(checked.tally.stats),
    }


def verdict_at(line: str, words: Collection[str] = (SAFE, VIOLATED, UNTESTED)) -> tuple[str, int]:
    """The verdict that a row of the table shows, and where it begins; none: ''."""
    cells = line.removeprefix(PREFIX).split("  ")
    verdict = next((cell for cell in cells[1:] if cell.strip() in words), "").strip()
    return verdict, line.find(f"  {verdict}") + 2
