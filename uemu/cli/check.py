"""``uemu check``: a program under every kernel in turn, and from which one on it is safe."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rich.text import Text

from uemu.cli.deaf import Deaf
from uemu.cli.main import INTERRUPTED
from uemu.cli.output import JsonFile, LineFile, check_apart, make_console
from uemu.cli.policy_names import check_policy
from uemu.cli.run import refused
from uemu.cli.run_options import SIDE_EFFECTS, add_run_options, program_of, suppressions_of
from uemu.cli.runs import Runs
from uemu.live.program.which import find_program
from uemu.policy.registry import KERNELS, POLICIES, make_policy
from uemu.report.check_report import (
    SAFE,
    UNTESTED,
    VIOLATED,
    Checked,
    check_failure_json,
    check_json,
    check_lines,
    verdict_at,
)
from uemu.report.run_report import prefixed

if TYPE_CHECKING:
    from uemu.cli.parser import Subparsers

DESCRIPTION = (
    "Run a program under the rules of one kernel after the other, the oldest first, and say from"
    " which one on it is safe, and why. Its output is its own each time, and what one run reads"
    " from stdin or leaves in files the next one finds so; the table goes to stderr."
)

STYLES = {SAFE: "green", VIOLATED: "bold red", UNTESTED: "yellow"}


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "check",
        help="run a program under every kernel: from which one on is it safe, and why",
        description=DESCRIPTION,
        epilog=SIDE_EFFECTS,
        usage="uemu check [OPTION]... [--] PROGRAM [ARG]...",
    )
    parser.add_argument(
        "--policy",
        metavar="NAME",
        action="append",
        dest="policies",
        help="under that one; may be given more than once (default: each released kernel)",
    )
    parser.add_argument("--all", action="store_true", help="under what was only proposed, too")
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run it under each policy and print the table."""
    program = program_of(args)
    check_apart(args, "json", "trace")
    file = JsonFile(args.json) if args.json is not None else None
    try:
        policies = _policies(args)
        find_program(program[0])
        checked, interrupted = _check(args, policies, program)
    except Exception as error:
        if file is not None:
            file.write(check_failure_json(str(error), program))
        return refused(error)
    if file is not None:
        file.write(check_json(checked, program, interrupted))
    is_violated = any(each.tally.kinds for each in checked)
    if is_violated or not args.quiet:
        print_check(checked, interrupted)
    if is_violated and args.error_exitcode:
        return int(args.error_exitcode)
    return INTERRUPTED if interrupted is not None else 0


def _policies(args: argparse.Namespace) -> list[str]:
    """What was asked for, each once, in the order of the registry where that was left open."""
    if args.policies:
        return [check_policy(name) for name in dict.fromkeys(args.policies)]
    return list(POLICIES if args.all else KERNELS)


def _check(
    args: argparse.Namespace, policies: list[str], program: list[str]
) -> tuple[list[Checked], str | None]:
    """What the runs gave, and where somebody interrupted them."""
    suppressions = suppressions_of(args)
    trace = LineFile(args.trace) if args.trace is not None else None
    out = LineFile("-")
    said: set[str] = set()
    checked = []
    try:
        with Deaf() as deaf:
            for number, policy in enumerate(policies, 1):
                reason = make_policy(policy).not_for_programs
                if reason is not None:
                    checked.append(Checked(policy, reason))
                    continue
                if deaf.heard:
                    break
                if not args.quiet:
                    out.line(prefixed(f"{number} of {len(policies)}: {policy}")[0])
                if trace is not None:
                    trace.line(f"# {policy}")
                runs = Runs(
                    args,
                    policy,
                    program,
                    out,
                    trace,
                    tells=False,
                    said=said,
                    suppressions=suppressions,
                )
                runs.run(deaf)
                seed = runs.tally.seeds[0] if runs.tally.seeds else args.seed
                checked.append(
                    Checked(policy, None, runs.tally, runs.violating, runs.command(seed))
                )
    finally:
        if trace is not None:
            trace.close()
    where = f"under {checked[-1].policy}, {len(checked)} of {len(policies)}"
    return checked, where if deaf.heard else None


def print_check(checked: list[Checked], interrupted: str | None = None) -> None:
    """Print the table and what follows from it, coloured on a terminal."""
    console = make_console(stderr=True)
    for line in ["", *check_lines(checked, interrupted)]:
        text = Text(line)
        verdict, start = verdict_at(line)
        if verdict:
            text.stylize(STYLES[verdict], start, start + len(verdict))
        console.print(text, soft_wrap=True)
