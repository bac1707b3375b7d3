"""``uemu claims``: what was claimed in the debate, and what runs say of it.

``--json`` writes one object, ``claims`` its claims, each with

id, claim, sources      what was said, and where: ``author``, ``when`` (UTC),
                        ``message_id``, ``document``
verdict                 confirmed, refuted or undecidable (as worded)
reading                 under which reading that is so
why                     what was found
scenario, policy,       a run that shows it; ``schedule`` is null where what was
  schedule              found is that there is none
schedules, exhaustive   orders that ran for it; whether those were all
expected, because       what was expected before anything was run, and why
readings                objects of ``reading``, ``holds`` and ``evidence``: each
                        question with its answer and, where there is a run, the
                        command that replays it
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from uemu.claims.claim import CONFIRMED, REFUTED, UNDECIDABLE, Claim, Verdict
from uemu.claims.findings import findings
from uemu.claims.question import Answer
from uemu.claims.registry import CLAIMS, find_claim
from uemu.claims.survey import survey
from uemu.claims.watches import WATCHES
from uemu.cli.names import WorldMaker, read_schedule
from uemu.cli.output import (
    JsonFile,
    TextFile,
    envelope,
    make_console,
    print_lines,
    print_table,
    print_wrapped,
    progress_bar,
)
from uemu.cli.parser import UsageError, positive
from uemu.cli.show import show_run
from uemu.cli.workers import Processes, usable_cpus
from uemu.explore import replay
from uemu.report.tables import grid
from uemu.scenario.registry import find_scenario

if TYPE_CHECKING:
    from uemu.cli.parser import Subparsers

STYLES = {CONFIRMED: "bold green", REFUTED: "bold red", UNDECIDABLE: "bold yellow"}

SAID = 70
"""So much is said beside the progress bar, in characters."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "claims",
        help="decide what was claimed about fork, COW and get_user_pages",
        description="Decide, by runs, what was claimed on the mailing lists about fork, COW and"
        " get_user_pages. Without ID: all of them, in a table; with one: what it rests on, and the"
        " race drawn. Exit status 1 if a verdict is not the one that was expected.",
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="C01, C02, ...")
    parser.add_argument("--json", metavar="FILE", help="write the verdicts there, as one object")
    parser.add_argument(
        "--markdown", metavar="FILE", help="write what was found there, as a document to read"
    )
    parser.add_argument(
        "--jobs",
        type=positive,
        metavar="N",
        help="search in N processes (default: as many as there are CPUs to use)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Decide them and show the verdicts."""
    try:
        wanted = {claim.id: claim for claim in map(find_claim, args.ids)} or CLAIMS
    except ValueError as error:
        raise UsageError(str(error)) from None
    file = None if args.json is None else JsonFile(args.json)
    document = None if args.markdown is None else TextFile(args.markdown)
    start = monotonic()
    verdicts = decide_all(list(wanted.values()), args.jobs or usable_cpus())
    seconds = monotonic() - start
    if file is not None:
        told = [verdict.as_json() for verdict in verdicts]
        file.write(envelope("claims", {"seconds": round(seconds, 3), "claims": told}))
    if document is not None:
        document.write_text(findings(verdicts))
    console = make_console()
    if args.ids:
        for verdict in verdicts:
            _show(console, verdict)
    else:
        _show_table(console, verdicts)
    _show_sum(console, verdicts, seconds)
    return 0 if all(verdict.is_expected for verdict in verdicts) else 1


def decide_all(claims: Sequence[Claim], jobs: int) -> list[Verdict]:
    """Decide claims in so many processes; a terminal sees how it goes on."""
    with progress_bar(make_console(stderr=True)) as progress:
        line = progress.add_task("claims", total=None)

        def told(done: int, total: int, text: str) -> None:
            said = f"{done} of {total} questions: {text}"
            progress.update(line, completed=done, total=total, description=said[:SAID])

        if jobs == 1:
            return survey(claims, progress=told)
        with Processes(jobs) as pool:
            return survey(claims, executor=pool, progress=told)


def _show_table(console: Console, verdicts: Sequence[Verdict]) -> None:
    table = grid()
    for verdict in verdicts:
        claim = verdict.claim
        said = Text(f"{claim.text} ({claim.sources[0]})")
        if len(claim.readings) > 1:
            said.append(f"\n{verdict.reading}", style="dim")
        table.add_row(
            Text(claim.id, style="bold cyan", no_wrap=True),
            Text(verdict.verdict, style=STYLES[verdict.verdict], no_wrap=True),
            said,
        )
    print_table(console, table)


def _show(console: Console, verdict: Verdict) -> None:
    """Everything about one claim, and the race that shows it."""
    claim = verdict.claim
    print_wrapped(console, f"{claim.id}: {claim.text}", style="bold")
    for each in claim.sources:
        print_wrapped(console, each.cited, "  ")
    word = "undecidable as worded" if verdict.verdict == UNDECIDABLE else verdict.verdict
    print_lines(console, "", word, style=STYLES[verdict.verdict])
    for reading, holds, answers in zip(claim.readings, verdict.held, verdict.answers, strict=True):
        print_lines(console, "")
        print_wrapped(console, f"{'holds' if holds else 'fails'}: {reading.name}")
        for answer in answers:
            print_wrapped(console, f"{'+' if answer.holds else '-'} {answer.text}", "  ")
    meant = {kind: text for watch in WATCHES.values() for kind, text in watch.names.items()}
    asked = {kind for answers in verdict.answers for answer in answers for kind in answer.asked}
    for kind in sorted(asked & meant.keys()):
        print_lines(console, "")
        print_wrapped(console, f"{kind}: {meant[kind]}")
    print_lines(console, "")
    print_wrapped(console, f"expected: {claim.expected}; {claim.because}")
    _show_race(console, verdict)
    print_lines(console, "")


def _show_race(console: Console, verdict: Verdict) -> None:
    evidence = verdict.evidence
    if evidence.schedule is None:
        return
    where = evidence.where
    maker = WorldMaker(
        find_scenario(where.scenario), where.policy, where.ipi_wait, where.memory_model
    )
    print_lines(console, "")
    print_wrapped(console, f"shown by: {evidence.text}")
    print_lines(console, "")
    show_run(console, maker, replay(maker, read_schedule(evidence.schedule)))


def _show_sum(console: Console, verdicts: Sequence[Verdict], seconds: float) -> None:
    counts = [
        f"{sum(verdict.verdict == kind for verdict in verdicts)} {kind}"
        for kind in STYLES
        if any(verdict.verdict == kind for verdict in verdicts)
    ]
    schedules = sum(answer.schedules for answer in _all_answers(verdicts))
    print_lines(console, f"{', '.join(counts)}; {schedules} orders in {seconds:.1f} s")
    for verdict in verdicts:
        if not verdict.is_expected:
            claim = verdict.claim
            text = f"{claim.id} is {verdict.verdict}, and {claim.expected} was expected"
            print_wrapped(console, f"{text}: {claim.because}", style="bold red")


def _all_answers(verdicts: Sequence[Verdict]) -> set[Answer]:
    return {answer for verdict in verdicts for answers in verdict.answers for answer in answers}
