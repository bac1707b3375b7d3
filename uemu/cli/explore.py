"""``uemu explore``: every order of steps of a scenario, and the races in it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from uemu.cli.names import WorldMaker
from uemu.cli.output import JsonFile, envelope, make_console, print_lines
from uemu.cli.parser import NotYet, add_ipi_wait, add_policy, one_of, positive
from uemu.cli.show import show_run, violations_of
from uemu.explore import Exploration, Run, shrink
from uemu.explore import explore as search
from uemu.report.story import in_order, verdict_text

if TYPE_CHECKING:
    from uemu.cli.parser import Subparsers

INTERRUPTED = 130


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
    parser.add_argument(
        "--max-schedules", type=positive, metavar="N", help="stop after N runs, without a proof"
    )
    parser.add_argument(
        "--no-reduction",
        dest="reduction",
        action="store_false",
        help="run every order, not one of each kind",
    )
    add_ipi_wait(parser)
    parser.add_argument(
        "--memory-model",
        type=one_of("sc", "tso"),
        default="sc",
        metavar="sc",
        help="sequential consistency, the only one yet",
    )
    parser.add_argument("--json", metavar="FILE", help="write the result there, as one object")
    parser.add_argument(
        "--scheduler",
        type=one_of("dfs", "random", "pct"),
        default="dfs",
        help=argparse.SUPPRESS,
    )
    for option in ("--max-preemptions", "--seed", "--jobs"):
        parser.add_argument(option, action=NotYet)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Explore, shrink and show what was found."""
    maker = WorldMaker.from_args(args)
    file = JsonFile(args.json) if args.json is not None else None
    found, races = explore(maker, args)
    console = make_console()
    print_lines(console, f"{maker}: {verdict_text(found.verdicts)}", style="bold")
    print_lines(console, coverage(found))
    for race in {race.schedule: race for race in races.values()}.values():
        print_lines(console, "")
        show_run(console, maker, race)
    if file is not None:
        file.write(as_json(maker, args, found, races))
    if found.verdicts:
        return 1
    return INTERRUPTED if found.interrupted else 0


def explore(maker: WorldMaker, args: argparse.Namespace) -> tuple[Exploration, dict[str, Run]]:
    """Explore, and find a short run for each verdict; a terminal sees how it goes on."""
    with _progress(make_console(stderr=True)) as progress:
        line = progress.add_task(f"{maker}: exploring")
        found = search(
            maker,
            reduction=args.reduction,
            max_schedules=args.max_schedules,
            progress=lambda done: progress.update(line, description=f"{maker}: {done} schedules"),
        )
        races: dict[str, Run] = {}
        for kind in in_order(found.verdicts):
            shown = [race for race in races.values() if kind in race.verdicts]
            if shown and not args.all:
                races[kind] = shown[0]
                continue
            progress.update(line, description=f"{maker}: shrinking {kind}")
            races[kind] = _shrunk(maker, found.verdicts[kind], kind)
    return found, races


def _shrunk(maker: WorldMaker, run: Run, kind: str) -> Run:
    """The shrunk run; the one that was found, for somebody who will not wait."""
    try:
        return shrink(maker, run, kind)
    except KeyboardInterrupt:
        return run


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def coverage(found: Exploration) -> str:
    """How many schedules ran, and whether those were all."""
    ran = "1 schedule" if found.schedules == 1 else f"{found.schedules} schedules"
    if found.redundant:
        ran += f" and {found.redundant} redundant"
    if found.exhaustive:
        return f"{ran}: exhaustive, under sequential consistency"
    return f"{ran}, {'interrupted' if found.interrupted else 'bounded'}: no proof"


def as_json(
    maker: WorldMaker, args: argparse.Namespace, found: Exploration, races: dict[str, Run]
) -> dict[str, Any]:
    """The result for programs."""
    return envelope(
        "explore",
        {
            "scenario": maker.scenario.name,
            "policy": maker.policy,
            "memory_model": args.memory_model,
            "reduction": args.reduction,
            "ipi_waits_for_gup_fast": maker.ipi_wait,
            "schedules": found.schedules,
            "redundant": found.redundant,
            "exhaustive": found.exhaustive,
            "interrupted": found.interrupted,
            "verdicts": [_verdict(maker, kind, race) for kind, race in races.items()],
        },
    )


def _verdict(maker: WorldMaker, kind: str, race: Run) -> dict[str, Any]:
    told = [each for each in violations_of(maker, race) if each.kind == kind]
    return {
        "kind": kind,
        "schedule": str(race.schedule),
        "replay": maker.replay_command(race.schedule),
        "message": told[0].message if told else race.message,
        "story": [
            {"event": line.event, "cpu": line.cpu, "address": line.address, "text": line.text}
            for line in (told[0].story if told else ())
        ],
    }
