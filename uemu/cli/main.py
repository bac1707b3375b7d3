"""The command line's front: which command, what exit status, what becomes of errors.

Exit status: 0; 1 there was a violation, or something is not as expected; 2 wrong
use; 3 this machine cannot; 70 uemu broke a rule of its own; 130 interrupted;
141 nobody reads the output. That of ``run`` is the program's, or 126 and 127
for one that cannot be run.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
import traceback
from collections.abc import Sequence
from typing import Final

from uemu.cli.parser import Command, Parser, UsageError, error_text
from uemu.cli.streams import give_up, say, stand_in, why_not_written
from uemu.errors import HostError, UemuError

USAGE: Final = 2
HOST_CANNOT: Final = 3
INTERNAL: Final = 70
INTERRUPTED: Final = 130
NO_READER: Final = 141

COMMANDS: Final = (
    "run",
    "watch",
    "check",
    "demo",
    "policies",
    "scenarios",
    "explore",
    "replay",
    "matrix",
    "claims",
    "explain",
    "doctor",
)
"""Each is a module beside this one; all of them take longer to load than a short program runs."""

EPILOG = (
    "exit status: 1 there was a violation, of matrix and claims: something is not as expected;"
    " 2 wrong use; 3 this machine cannot (and why); of run: the program's own"
)


def make_parser(commands: Sequence[str] = COMMANDS) -> Parser:
    """The parser of all commands, or of some."""
    parser = Parser(
        prog="uemu",
        description="Watch a pinned page, a fork and a device go wrong, under the rules of"
        " any kernel.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"uemu {version()}")
    subparsers = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for command in commands:
        importlib.import_module(f"uemu.cli.{command}").add_parser(subparsers)
    return parser


def version() -> str:
    """The version that is installed."""
    try:
        return importlib.metadata.version("uemu")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit status; `sys.argv` if none is given."""
    stand_in()
    try:
        status = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except UsageError as error:
        return _refuse(USAGE, str(error))
    except HostError as error:
        return _refuse(HOST_CANNOT, f"{error.what}: {error.why}", f"remedy: {error.remedy}")
    except KeyboardInterrupt:
        return _refuse(INTERRUPTED, "interrupted")
    except BrokenPipeError:
        give_up(sys.stdout)
        give_up(sys.stderr)
        return NO_READER
    except UemuError as error:
        return _refuse(INTERNAL, f"{type(error).__name__}: {error}")
    except Exception as error:
        why = why_not_written(error) if isinstance(error, OSError) else None
        if why is not None:
            give_up(sys.stdout)
            return _refuse(USAGE, why)
        # Status 1 would say that a violation was found.
        say(traceback.format_exc())
        return _refuse(INTERNAL, "this is a mistake in uemu, not in what you asked for")
    return status


def _run(words: Sequence[str]) -> int:
    try:
        args = make_parser([c for c in words[:1] if c in COMMANDS] or COMMANDS).parse_args(words)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE
    command: Command = args.run
    return command(args)


def _refuse(status: int, *lines: str) -> int:
    say(error_text(*lines))
    return status
