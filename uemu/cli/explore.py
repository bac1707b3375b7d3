"""``uemu explore``: every order of steps of a scenario, and the races in it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from uemu.cli.coverage import Search, add_search, coverage
from uemu.cli.main import INTERRUPTED
from uemu.cli.names import WorldMaker
from uemu.cli.output import envelope, make_console, print_lines, progress_bar
from uemu.cli.parser import add_ipi_wait, add_memory_model, add_policy
from uemu.cli.result_files import ResultFiles, add_result_files, verdict_json
from uemu.cli.show import show_run
from uemu.cli.workers import add_workers, make_workers
from uemu.explore import Exploration, Run, Sampler, Workers, shrink
from uemu.explore import explore as search_all
from uemu.report.story import in_order, verdict_text

if TYPE_CHECKING:
    from uemu.cli.parser import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "explore",
        help="run a scenario in every order of steps, and draw the races",
        description="Run a scenario in every order of steps that can make a difference. What is"
        " found is drawn with as few context switches as it needs. Ctrl-C ends the search and"
        " shows what there is. Exit status 1 if there was a violation.",
    )
    parser.add_argument("scenario", metavar="SCENARIO", help="see: uemu scenarios")
    add_policy(parser)
    parser.add_argument(
        "--all",
        action="store_true",
        help="draw each violation on its own, also one that shows in another's drawing",
    )
    add_search(parser)
    add_workers(parser)
    add_ipi_wait(parser)
    add_memory_model(parser)
    add_result_files(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class Explored:
    """An exploration that is over.

    Attributes:
        races: a short run for each verdict.
        sampler: who drew the schedules, if they were drawn.
        jobs: how many may have searched at the same time.
        seconds: what it took, the shrinking included.
    """

    found: Exploration
    races: dict[str, Run]
    sampler: Sampler | None
    jobs: int
    seconds: float

    def drawn(self) -> list[Run]:
        """The races, each once: one may show several verdicts."""
        return list({race.schedule: race for race in self.races.values()}.values())


def run(args: argparse.Namespace) -> int:
    """Explore, shrink and show what was found."""
    maker = WorldMaker.from_args(args)
    search = Search.from_args(args)
    files = ResultFiles.from_args(args)
    workers = make_workers(args)
    done = explore(maker, search, workers, shrink_each=args.all)
    try:
        _show(maker, search, done)
    finally:
        # Also when nobody reads the output to its end.
        files.write(
            maker,
            done.drawn(),
            lambda: as_json(maker, search, done),
            heads(maker, search, done),
        )
    if done.found.verdicts:
        return 1
    return INTERRUPTED if done.found.interrupted else 0


def _show(maker: WorldMaker, search: Search, done: Explored) -> None:
    console = make_console()
    verdict, *covered = heads(maker, search, done)
    print_lines(console, verdict, style="bold")
    print_lines(console, *covered)
    for race in done.drawn():
        print_lines(console, "")
        show_run(console, maker, race)


def heads(maker: WorldMaker, search: Search, done: Explored) -> list[str]:
    """What was found, and what was searched for it, in lines."""
    return [
        f"{maker}: {verdict_text(done.found.verdicts)}",
        *coverage(
            done.found,
            search,
            seconds=done.seconds,
            sampler=done.sampler,
            memory_model=maker.memory_model,
        ),
    ]


def explore(
    maker: WorldMaker, search: Search, workers: Workers | None, *, shrink_each: bool
) -> Explored:
    """Explore, and find a short run for each verdict; a terminal sees how it goes on."""
    start = monotonic()
    with progress_bar(make_console(stderr=True)) as progress:
        line = progress.add_task(f"{maker}: exploring", total=search.max_schedules)
        sampler = search.sampler(maker)
        found = search_all(
            maker,
            reduction=search.reduction,
            max_preemptions=search.max_preemptions,
            sampler=sampler,
            max_schedules=search.max_schedules,
            twice=search.twice,
            workers=workers,
            progress=lambda done: progress.update(
                line, completed=done, description=f"{maker}: {done} schedules"
            ),
        )
        races: dict[str, Run] = {}
        progress.update(line, total=None)
        for kind in in_order(found.verdicts):
            shown = [race for race in races.values() if kind in race.verdicts]
            if shown and not shrink_each:
                races[kind] = shown[0]
                continue
            progress.update(line, description=f"{maker}: shrinking {kind}")
            races[kind] = _shrunk(maker, found.verdicts[kind], kind)
    jobs = 1 if workers is None else workers.number
    return Explored(found, races, sampler, jobs, monotonic() - start)


def _shrunk(maker: WorldMaker, run: Run, kind: str) -> Run:
    """The shrunk run; the one that was found, for somebody who will not wait."""
    try:
        return shrink(maker, run, kind)
    except KeyboardInterrupt:
        return run


def as_json(maker: WorldMaker, search: Search, done: Explored) -> dict[str, Any]:
    """The result for programs, without its drawings."""
    found = done.found
    return envelope(
        "explore",
        {
            **maker.as_json(),
            **search.as_json(),
            "jobs": done.jobs,
            "seconds": round(done.seconds, 3),
            "schedules": found.schedules,
            "redundant": found.redundant,
            "complete": found.complete,
            "exhaustive": found.exhaustive,
            "interrupted": found.interrupted,
            "lost_workers": found.deaths,
            "verdicts": [verdict_json(maker, kind, race) for kind, race in done.races.items()],
        },
    )
