"""Many runs of one program, counted: how many violated what, and how they ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

from uemu.live.program.result import RunResult, Stats
from uemu.report.run_report import (
    coverage_lines,
    exit_status,
    prefixed,
    suppressed_lines,
    wrapped,
)
from uemu.report.story import in_order


@dataclass(slots=True)
class Tally:
    """What some runs had in common, and what not.

    Attributes:
        runs: how many there were.
        seeds: those of the runs with a violation.
        kinds: a kind of violation to the number of runs that had it.
        suppressed: how many violations were not told, by name.
        exits: an exit status, as a shell has it, to the number of runs.
        stats: the sums of what they covered.
    """

    runs: int = 0
    seeds: list[int] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    exits: Counter[int] = field(default_factory=Counter)
    suppressed: Counter[str] = field(default_factory=Counter)
    stats: Stats = field(default_factory=Stats)

    def add(self, result: RunResult, seed: int) -> bool:
        """Count one run; whether it shows a kind of violation that none before it did."""
        kinds = {violation.kind for violation in result.violations}
        is_news = not kinds <= set(self.kinds)
        self.runs += 1
        self.kinds.update(kinds)
        self.exits[exit_status(result)] += 1
        self.suppressed.update(result.suppressed)
        if kinds:
            self.seeds.append(seed)
        for each in fields(Stats):
            total = getattr(self.stats, each.name) + getattr(result.stats, each.name)
            setattr(self.stats, each.name, total)
        return is_news


def tally_lines(tally: Tally, policy: str) -> list[str]:
    """The counts, for the end of the report."""
    violating = len(tally.seeds)
    runs = "1 run" if tally.runs == 1 else f"{tally.runs} runs"
    lines = prefixed(f"{runs} under {policy}, {violating or 'none'} with a violation")
    if tally.kinds:
        counts = [f"{kind} in {tally.kinds[kind]}" for kind in in_order(tally.kinds)]
        lines += wrapped(f"  {', '.join(counts)}")
        lines += wrapped(f"  with the seeds {_some(tally.seeds)}")
    ends = [f"{status} in {tally.exits[status]}" for status in sorted(tally.exits)]
    lines += wrapped(f"  exit status {', '.join(ends)}")
    lines += coverage_lines(tally.stats, is_clean=not violating)
    return lines + suppressed_lines(tally.suppressed)


def tally_json(tally: Tally) -> dict[str, Any]:
    """The counts, for programs."""
    return {
        "runs": tally.runs,
        "violating": len(tally.seeds),
        "seeds": list(tally.seeds),
        "kinds": {kind: tally.kinds[kind] for kind in in_order(tally.kinds)},
        "suppressed": dict(tally.suppressed),
        "exits": {str(status): tally.exits[status] for status in sorted(tally.exits)},
    }


def _some(seeds: list[int], most: int = 10) -> str:
    more = f" and {len(seeds) - most} more" if len(seeds) > most else ""
    return ", ".join(str(seed) for seed in seeds[:most]) + more
