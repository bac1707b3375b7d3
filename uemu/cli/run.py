"""``uemu run``: a program as it is, under the rules of any kernel."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from typing import TYPE_CHECKING

from uemu.cli.deaf import Deaf
from uemu.cli.output import JsonFile, LineFile, TextFile, check_apart
from uemu.cli.parser import add_policy, error_text
from uemu.cli.policy_names import check_program_policy
from uemu.cli.run_options import SIDE_EFFECTS, add_run_options, program_of, suppressions_of
from uemu.cli.runs import Runs
from uemu.live.program.which import CannotRun, find_program
from uemu.policy.registry import NEWEST
from uemu.report.repeat_report import tally_json, tally_lines
from uemu.report.run_report import exit_status, failure_json, run_json, run_lines

if TYPE_CHECKING:
    from uemu.cli.parser import Subparsers
    from uemu.cli.watchers import Watcher
    from uemu.live.program.result import RunResult

DESCRIPTION = (
    "Run a program and decide, by the rules of a kernel, who sees what its direct I/O reads and"
    " writes when it forks. Its output and exit status are its own (128+N for a signal N); the"
    " report goes to stderr, each line after 'uemu: '. What follows PROGRAM is the program's."
)


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "run",
        help="run a program under the rules of a kernel",
        description=DESCRIPTION,
        epilog=SIDE_EFFECTS,
        usage="uemu run [OPTION]... [--] PROGRAM [ARG]...",
    )
    add_policy(parser, default=NEWEST)
    parser.add_argument(
        "--html",
        metavar="FILE",
        help="write a timeline there, a page of one file: of the first run with a violation, or"
        " of the last",
    )
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run it, as often as asked, and report."""
    program = program_of(args)
    check_apart(args, "json", "trace", "html")
    return run_and_report(args, program, JsonFile(args.json) if args.json is not None else None)


def run_and_report(
    args: argparse.Namespace,
    program: list[str],
    file: JsonFile | None,
    watcher: Watcher | None = None,
) -> int:
    """Run a program, watched or not, and report, also that it cannot be run."""
    try:
        return _run(args, program, file, watcher)
    except Exception as error:
        if file is not None:
            file.write(failure_json(str(error), args.policy, program))
        return refused(error)


def refused(error: Exception) -> int:
    """Say why a program cannot be run; what else went wrong is others' to say."""
    if not isinstance(error, CannotRun):
        raise error
    remedy = [f"remedy: {error.remedy}"] if error.remedy else []
    sys.stderr.write(error_text(f"{error.what}: {error.why}", *remedy))
    return error.status


def _run(
    args: argparse.Namespace, program: list[str], file: JsonFile | None, watcher: Watcher | None
) -> int:
    check_program_policy(args.policy)
    find_program(program[0])
    trace = LineFile(args.trace) if args.trace is not None else None
    runs = Runs(
        args,
        args.policy,
        program,
        LineFile("-"),
        trace,
        tells=args.repeat is not None,
        suppressions=suppressions_of(args),
    )
    page = TextFile(args.html) if getattr(args, "html", None) is not None else None
    runs.draws = page is not None
    if watcher is not None:
        runs.watch = watcher.event
    try:
        with Deaf() as deaf, watcher or contextlib.nullcontext():
            result = runs.run(deaf)
    finally:
        if trace is not None:
            trace.close()
    _conclude(runs, result)
    if page is not None:
        page.write_text(_page(runs))
    if file is not None:
        content = run_json(result, args.policy, program)
        if args.repeat is not None:
            content["repeat"] = tally_json(runs.tally)
        file.write(content)
    if runs.tally.kinds and args.error_exitcode:
        return int(args.error_exitcode)
    return exit_status(result)


def _conclude(runs: Runs, result: RunResult) -> None:
    """Report, unless there is nothing to say to somebody who wants to hear nothing."""
    args = runs.args
    if args.quiet and not runs.tally.kinds and not runs.said:
        return
    if args.repeat is not None:
        runs.say(tally_lines(runs.tally, args.policy))
    else:
        runs.say(run_lines(result, args.policy, replay=runs.command(args.seed)))


def _page(runs: Runs) -> str:
    # Only here: it takes a while to load, and few ask for it.
    from uemu.report.html.timeline import timeline_page

    assert runs.drawn is not None, "each run is drawn"
    timeline, result, seed = runs.drawn
    return timeline_page(
        timeline,
        result,
        program=shlex.join(runs.program),
        policy=runs.policy,
        replay=runs.command(seed),
    )
