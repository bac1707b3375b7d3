"""The options of commands that run a program: ``run`` and ``check``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from uemu.cli.parser import NotYet, UsageError, number_from, positive

if TYPE_CHECKING:
    from uemu.report.suppressions import Suppression

HOLD_MS = 1000

SIDE_EFFECTS = (
    "What the program notices: it runs with no_new_privs, so sudo and other setuid programs fail"
    " inside; its limits on address space count uemu's mapping too; /proc/self/maps shows that"
    " mapping; it cannot itself ptrace. Exit status of uemu's own failures: 2 wrong use,"
    " 3 this machine cannot, 126 PROGRAM is not executable, 127 it is not found."
)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Give a command what says how a program is run and what is written about it."""
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
    parser.add_argument(
        "--suppressions",
        metavar="FILE",
        action="append",
        default=[],
        help="say nothing of the violations listed there, in valgrind's form: { NAME uemu:KIND"
        " fun:FUNCTION ... }; may be given more than once",
    )
    parser.add_argument("--device", action=NotYet)
    # PARSER takes one word and then whatever follows, options too.
    parser.add_argument("program", nargs=argparse.PARSER, metavar="PROGRAM", help="and its words")


def program_of(args: argparse.Namespace) -> list[str]:
    """The program's name and arguments.

    Raises:
        UsageError: there is none.
    """
    # Some versions of argparse leave this in, some take it away.
    program: list[str] = args.program[1:] if args.program[0] == "--" else args.program
    if not program:
        raise UsageError("the following arguments are required: PROGRAM")
    return program


def suppressions_of(args: argparse.Namespace) -> list[Suppression]:
    """What is not to be told.

    Raises:
        UsageError: a file cannot be read, or is not of that form.
    """
    if not args.suppressions:
        return []
    # Only here: few ask for it.
    from uemu.report.suppressions import read_suppressions

    found: list[Suppression] = []
    for path in args.suppressions:
        try:
            found += read_suppressions(path)
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
        except ValueError as error:
            raise UsageError(str(error)) from None
    return found
