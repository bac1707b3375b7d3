"""Options, and refusing wrong ones: exit status 2, one line that says what is wrong."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from uemu.policy.registry import NEWEST
from uemu.report.width import report_width

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction["Parser"]

WIDEST = 100
"""No line of uemu's own is wider, in characters, however wide the terminal."""

BASELINE = "linux-2.6.29"
"""The policy of commands that want to show the loss."""

Command = Callable[[argparse.Namespace], int]


class UsageError(Exception):
    """What was asked for cannot be: the message says why, and what can."""


class Parser(argparse.ArgumentParser):
    """A parser that reports errors as uemu does, and takes no abbreviations."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": _formatter, **kwargs})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what is unknown here, where the command is known whose usage helps."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def _print_message(self, message: str, file: Any = None) -> None:
        # Some versions of argparse pass over what cannot be written.
        (file or sys.stderr).write(message)

    def error(self, message: str) -> NoReturn:
        """Say how it is used, then what was wrong, and exit with 2."""
        self.print_usage(sys.stderr)
        self.exit(2, error_text(message))


def error_text(message: str, *more: str) -> str:
    """An error as it goes to stderr; lines after the first are set off."""
    width = report_width()
    lines = wrapped(f"uemu: error: {message}", width=width)
    for line in more:
        lines += wrapped(line, "  ", width)
    return "\n".join(lines) + "\n"


def wrapped(text: str, indent: str = "", width: int = WIDEST) -> list[str]:
    """A paragraph in lines; those after the first are set off."""
    # What somebody typed, or may paste, stays in one piece.
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, width=min(shutil.get_terminal_size().columns, WIDEST) - 2)


class NotYet(argparse.Action):
    """An option of the documented interface that this version does not have."""

    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: Any) -> None:
        kwargs["help"] = argparse.SUPPRESS
        super().__init__(option_strings, argparse.SUPPRESS, **kwargs)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        parser.error(f"{option_string} is not in this version of uemu")


def positive(text: str) -> int:
    """A number from 1 on."""
    return number_from(1)(text)


def number_from(least: int, most: int | None = None) -> Callable[[str], int]:
    """A type for an option that is a number with bounds."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            bounds = f"from {least} on" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a number {bounds}")
        return number

    return parse


def add_policy(
    parser: argparse.ArgumentParser, *, required: bool = False, default: str = BASELINE
) -> None:
    """Give a command its ``--policy``."""
    known = "" if required else f" (default: {default})"
    newest = "" if default == NEWEST else f"; the newest: {NEWEST}"
    parser.add_argument(
        "--policy",
        metavar="NAME",
        required=required,
        default=None if required else default,
        help=f"the kernel's rules, NAME or NAME:VARIANT{known}{newest}",
    )


MEMORY_MODELS = ("sc", "tso")


def add_memory_model(parser: argparse.ArgumentParser) -> None:
    """Give a command the choice of when a store becomes visible."""
    parser.add_argument(
        "--memory-model",
        choices=MEMORY_MODELS,
        default="sc",
        help="sc: a store is seen at once (default); tso: x86's store buffers, each drained by"
        " locked instructions, fences, and at any later point",
    )


def add_ipi_wait(parser: argparse.ArgumentParser) -> None:
    """Give a command the switch for what a TLB flush waits for."""
    parser.add_argument(
        "--no-ipi-wait",
        dest="ipi_wait",
        action="store_false",
        help="a TLB flush does not wait for a gup-fast that runs with interrupts off",
    )
