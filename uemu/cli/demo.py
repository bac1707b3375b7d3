"""``uemu demo``: a story told step by step, on real processes."""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from rich.console import Console

from uemu.cli.output import make_console, print_table
from uemu.cli.parser import UsageError, add_policy
from uemu.cli.policy_names import check_policy
from uemu.errors import HostError
from uemu.report.tables import summary_table

if TYPE_CHECKING:
    from uemu.cli.parser import Subparsers


class Demo(Protocol):
    """What a demo is to the command line."""

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...

    def run(self, console: Console, policy: str, pause: bool) -> int:
        """Tell it; returns the exit status."""
        ...


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "demo",
        help="watch a pinned page, a fork and a device, step by step",
        description="Tell a story on real processes, step by step. Without NAME: list the demos.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="the demo")
    add_policy(parser)
    parser.add_argument(
        "--no-pause", action="store_true", help="do not wait for a key between the steps"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Tell a demo, or list them all."""
    check_policy(args.policy)
    demos = load_demos()
    console = make_console()
    if args.name is None:
        print_table(console, summary_table({name: each.summary for name, each in demos.items()}))
        return 0
    if args.name not in demos:
        near = difflib.get_close_matches(args.name, demos, n=3, cutoff=0.4) or list(demos)
        raise UsageError(f"unknown demo {args.name!r}; nearest: {', '.join(near)}")
    pause = not args.no_pause and sys.stdin.isatty() and console.is_terminal
    return demos[args.name].run(console, args.policy, pause)


def load_demos() -> Mapping[str, Demo]:
    """The demos, which are a package of their own.

    Raises:
        HostError: it is not installed.
    """
    try:
        registry = importlib.import_module("uemu_demos.registry")
    except ModuleNotFoundError as error:
        if error.name not in ("uemu_demos", "uemu_demos.registry"):
            raise
        raise HostError(
            "loading the demos", "the package uemu_demos is not installed", "Run: pip install ."
        ) from None
    demos: Mapping[str, Demo] = registry.DEMOS
    return demos
