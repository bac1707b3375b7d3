"""Which scenarios are decided under which policies, and how long it takes.

A cell is a scenario under a policy, or one of its variants, under a memory
model: sequential consistency always, x86-TSO where a thread takes no lock, that
is where get_user_pages_fast() is used. A cell is *exhausted* when at least one
order of each kind was run. If that takes longer than five sixths of the limit, it
is *bounded* when every order of at most three preemptions was run in what is left.
If that does not come to an end either, it is neither, and the survey fails.

    python -m tests.bench survey [--limit S] [--jobs N] [--model sc|tso]... [NAME]...

``NAME`` picks scenarios and policies: those whose name begins like it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from uemu.cli.names import WorldMaker
from uemu.cli.output import print_table
from uemu.cli.workers import in_processes, usable_cpus
from uemu.explore import Exploration, explore, replay
from uemu.policy.registry import POLICIES
from uemu.scenario.registry import SCENARIOS

LIMIT_S = 60.0
FOR_ALL = 5 / 6
"""The part of a cell's time in which it may be exhausted."""

PREEMPTIONS = 3
MODELS = ("sc", "tso")


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell took.

    Attributes:
        verdicts: what showed, in any order that was run.
        how: ``exhausted``, ``bounded`` or ``neither``.
        seconds: for both searches.
    """

    maker: WorldMaker
    found: Exploration
    verdicts: tuple[str, ...]
    how: str
    seconds: float


def policies() -> list[str]:
    """Every policy, each followed by its variants."""
    return [
        name if not variant else f"{name}:{variant}"
        for name, policy in POLICIES.items()
        for variant in ("", *policy.variants)
    ]


def makers(models: Sequence[str], names: Sequence[str]) -> Iterator[WorldMaker]:
    """The worlds of the cells, in the order of the table."""
    asked = [
        [name for name in known if any(name.startswith(each) for each in names)] or known
        for known in (list(SCENARIOS), policies())
    ]
    for model in models:
        for scenario in asked[0]:
            for policy in asked[1]:
                if model == "sc" or takes_no_lock(WorldMaker(SCENARIOS[scenario], policy)):
                    yield WorldMaker(SCENARIOS[scenario], policy, memory_model=model)


def takes_no_lock(maker: WorldMaker) -> bool:
    """Whether a thread uses get_user_pages_fast()."""
    run = replay(maker, ())
    return any(record.step.fn == "get_user_pages_fast" for record in run.records)


def survey_cell(maker: WorldMaker, limit_s: float, jobs: int) -> Cell:
    """Exhaust a cell, or bound it."""
    start = monotonic()
    found = explore(maker, max_seconds=limit_s * FOR_ALL, workers=in_processes(jobs))
    verdicts, how = set(found.verdicts), "exhausted"
    if not found.exhaustive:
        left = max(limit_s - (monotonic() - start), 1.0)
        found = explore(
            maker, max_preemptions=PREEMPTIONS, max_seconds=left, workers=in_processes(jobs)
        )
        verdicts |= set(found.verdicts)
        how = "bounded" if found.complete and not found.cut else "neither"
    return Cell(maker, found, tuple(sorted(verdicts)), how, monotonic() - start)


def main(argv: Sequence[str]) -> int:
    """Survey, and print the table; 1 if a cell is neither exhausted nor bounded."""
    parser = argparse.ArgumentParser("python -m tests.bench survey")
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="S")
    parser.add_argument("--jobs", type=int, default=usable_cpus(), metavar="N")
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args(argv)
    start = monotonic()
    todo = list(makers(args.model or MODELS, args.names))
    cells = []
    with progress_bar() as progress:
        line = progress.add_task("", total=len(todo))
        for maker in todo:
            progress.update(line, description=f"{maker} ({maker.memory_model})")
            cells.append(survey_cell(maker, args.limit, args.jobs))
            progress.advance(line)
    _print(cells, args.jobs, monotonic() - start)
    return 1 if any(cell.how == "neither" for cell in cells) else 0


def progress_bar() -> Progress:
    """How far a long command is, for a terminal."""
    console = Console(stderr=True)
    return Progress(
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _print(cells: Sequence[Cell], jobs: int, seconds: float) -> None:
    table = Table("model", "scenario", "policy", "schedules", "redundant", "steps", "s", "",
                  "verdicts", box=None)  # fmt: skip
    for cell in cells:
        maker, found = cell.maker, cell.found
        table.add_row(maker.memory_model, maker.scenario.name, maker.policy,
                      str(found.schedules), str(found.redundant), str(found.steps),
                      f"{cell.seconds:.1f}", cell.how, " ".join(cell.verdicts))  # fmt: skip
    console = Console(width=160)
    print_table(console, table)
    counts = ", ".join(
        f"{sum(cell.how == how for cell in cells)} {how}"
        for how in ("exhausted", "bounded", "neither")
    )
    slowest = max((cell.seconds for cell in cells), default=0.0)
    schedules = sum(cell.found.schedules for cell in cells)
    console.print(
        f"{len(cells)} cells: {counts}; {schedules} schedules, {seconds:.0f} s in all,"
        f" {slowest:.1f} s at most, --jobs {jobs}"
    )
