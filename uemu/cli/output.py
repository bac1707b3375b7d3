"""Where output goes: a console for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from uemu.cli.parser import WIDEST, UsageError


def make_console(*, stderr: bool = False) -> Console:
    """A console that colours on a terminal only, and leaves texts as they are."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    # A pipe has no width, and a table in it shall not depend on one.
    console.width = min(console.width, WIDEST) if console.is_terminal else WIDEST
    return console


def print_lines(console: Console, *lines: str, style: str | None = None) -> None:
    """Print lines that are laid out already: nothing is wrapped or cut."""
    for line in lines:
        console.print(line, style=style, soft_wrap=True)


def print_table(console: Console, table: Table) -> None:
    """Print a table, without the spaces that fill up its last column."""
    with console.capture() as capture:
        console.print(table)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    console.file.write("".join(f"{line}\n" for line in lines))


def envelope(command: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object of a command: the version of its form, the command, the rest."""
    return {"uemu": 1, "command": command, **content}


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object to stdout."""
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


class JsonFile:
    """A file that a JSON object goes to when the work is done.

    It is opened at once: who mistyped its name shall not wait to learn so.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with open(path, "a", encoding="utf-8"):
                pass
        except OSError as error:
            raise self._cannot(error) from None

    def write(self, content: Mapping[str, Any]) -> None:
        """Replace what the file holds.

        Raises:
            UsageError: it cannot be written.
        """
        try:
            with open(self.path, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=2, ensure_ascii=False)
                file.write("\n")
        except OSError as error:
            raise self._cannot(error) from None

    def _cannot(self, error: OSError) -> UsageError:
        return UsageError(f"cannot write {self.path}: {error.strerror or error}")
