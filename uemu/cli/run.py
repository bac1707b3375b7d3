"""``uemu run``: a program as it is, under the rules of any kernel."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from uemu.cli.deaf import Deaf
from uemu.cli.names import check_program_policy
from uemu.cli.output import JsonFile, LineFile
from uemu.cli.parser import NotYet, UsageError, add_policy, error_text, number_from, positive
from uemu.live.program.which import CannotRun, find_program
from uemu.policy.registry import NEWEST
from uemu.report.repeat_report import Tally, tally_json, tally_lines
from uemu.report.run_report import (
    PREFIX,
    exit_status,
    failure_json,
    prefixed,
    replay_lines,
    run_json,
    run_lines,
    violation_lines,
    wrapped,
)
from uemu.report.trace_line import trace_line
from uemu.report.way_back import run_command

if TYPE_CHECKING:
    from uemu.cli.parser import Subparsers
    from uemu.events import Event
    from uemu.live.program.result import RunResult

HOLD_MS = 1000

DESCRIPTION = (
    "Run a program and decide, by the rules of a kernel, who sees what its direct I/O reads and"
    " writes when it forks. Its output and exit status are its own (128+N for a signal N); the"
    " report goes to stderr, each line after 'uemu: '. What follows PROGRAM is the program's."
)

SIDE_EFFECTS = (
    "What the program notices: it runs with no_new_privs, so sudo and other setuid programs fail"
    " inside; its limits on address space count uemu's mapping too; /proc/self/maps shows that"
    " mapping; it cannot itself ptrace. Exit status of uemu's own failures: 2 wrong use,"
    " 3 this machine cannot, 126 PROGRAM is not executable, 127 it is not found."
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
        "--dma",
        choices=("immediate", "held", "random"),
        default="held",
        help="when a transfer is over: at once; after the fork and the store that could harm it;"
        " at random (default: held)",
    )
    parser.add_argument(
        "--seed", type=number_from(0), default=0, metavar="N", help="of --dma random (default: 0)"
    )
    parser.add_argument(
        "--hold-ms",
        type=number_from(0),
        default=HOLD_MS,
        metavar="N",
        help=f"hold no transfer for longer, in milliseconds (default: {HOLD_MS})",
    )
    parser.add_argument(
        "--repeat",
        type=positive,
        metavar="N",
        help="run it N times, with the seeds from --seed on, and count",
    )
    parser.add_argument("--json", metavar="FILE", help="write the result there, as one object")
    parser.add_argument(
        "--trace", metavar="FILE", help="write every event there, a line each; - for stderr"
    )
    parser.add_argument(
        "--error-exitcode",
        type=number_from(0, 255),
        default=0,
        metavar="N",
        help="exit with N if there was a violation (default: 0, with the program's status)",
    )
    parser.add_argument(
        "-q", dest="quiet", action="store_true", help="no report when there is nothing to say"
    )
    for option in ("--suppressions", "--device"):
        parser.add_argument(option, action=NotYet)
    # PARSER takes one word and then whatever follows, options too.
    parser.add_argument("program", nargs=argparse.PARSER, metavar="PROGRAM", help="and its words")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run it, as often as asked, and report."""
    # Some versions of argparse leave this in, some take it away.
    program = args.program[1:] if args.program[0] == "--" else args.program
    if not program:
        raise UsageError("the following arguments are required: PROGRAM")
    file = JsonFile(args.json) if args.json is not None else None
    try:
        return _run(args, program, file)
    except Exception as error:
        if file is not None:
            file.write(failure_json(str(error), args.policy, program))
        if not isinstance(error, CannotRun):
            raise
        remedy = [f"remedy: {error.remedy}"] if error.remedy else []
        sys.stderr.write(error_text(f"{error.what}: {error.why}", *remedy))
        return error.status


def _run(args: argparse.Namespace, program: list[str], file: JsonFile | None) -> int:
    check_program_policy(args.policy)
    find_program(program[0])
    trace = LineFile(args.trace) if args.trace is not None else None
    runs = Runs(args, program, LineFile("-"), trace)
    try:
        result = runs.run()
    finally:
        if trace is not None:
            trace.close()
    runs.conclude(result)
    if file is not None:
        content = run_json(result, args.policy, program)
        if args.repeat is not None:
            content["repeat"] = tally_json(runs.tally)
        file.write(content)
    if runs.tally.kinds and args.error_exitcode:
        return int(args.error_exitcode)
    return exit_status(result)


@dataclass(slots=True)
class Runs:
    """One program, run once or some times, and what is said of it meanwhile.

    Attributes:
        args: the options.
        program: its name and arguments.
        out: where people read.
        trace: where events go, if anywhere.
        tally: what the runs so far gave.
        said: the notes that were said: each is, once.
    """

    args: argparse.Namespace
    program: Sequence[str]
    out: LineFile
    trace: LineFile | None
    tally: Tally = field(default_factory=Tally)
    said: set[str] = field(default_factory=set)

    def run(self) -> RunResult:
        """Run it as often as asked, or until somebody interrupts it; the last result."""
        with Deaf() as deaf:
            result = self.once(self.args.seed)
            for seed in range(self.args.seed + 1, self.args.seed + (self.args.repeat or 1)):
                if deaf.heard:
                    break
                result = self.once(seed)
        return result

    def once(self, seed: int) -> RunResult:
        """One run; what it is the first to violate is told at once if others follow."""
        # Only here: the other commands run where the native helper does not.
        from uemu.live.program.schedule import DmaOptions
        from uemu.live.program.session import run_program

        args = self.args
        title = f"run {self.tally.runs + 1}, seed {seed}"
        if self.trace is not None and args.repeat is not None:
            self.trace.line(f"# {title}")
        dma = DmaOptions(args.dma, seed, args.hold_ms)
        watch = self.event if self.trace is not None else None
        result = run_program(self.program, args.policy, dma, self.note, watch)
        for note in result.notes:
            self.note(note)
        if self.tally.add(result, seed) and args.repeat is not None:
            self.say(prefixed(f"{title}:"))
            self.say(violation_lines(result.violations))
            self.say(replay_lines(result.violations, args.policy, self.command(seed)))
            self.say(prefixed(""))
        return result

    def conclude(self, result: RunResult) -> None:
        """Report, unless there is nothing to say to somebody who wants to hear nothing."""
        args = self.args
        if args.quiet and not self.tally.kinds and not self.said:
            return
        if args.repeat is not None:
            self.say(tally_lines(self.tally, args.policy))
        else:
            self.say(run_lines(result, args.policy, replay=self.command(args.seed)))

    def command(self, seed: int) -> str:
        """What runs it again as that seed did."""
        args = self.args
        return run_command(self.program, args.policy, dma=args.dma, seed=seed, hold_ms=args.hold_ms)

    def note(self, text: str) -> None:
        """Say now what the program does that is not supported."""
        if text not in self.said:
            self.said.add(text)
            self.say(wrapped(text))

    def event(self, event: Event) -> None:
        """Write one event of the trace."""
        if self.trace is not None:
            before = PREFIX if self.trace.path == "-" else ""
            self.trace.line(before + trace_line(event))

    def say(self, lines: Iterable[str]) -> None:
        """Print lines for people."""
        for line in lines:
            self.out.line(line)
