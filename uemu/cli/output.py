"""Where output goes: a console for people, JSON for programs."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from uemu.cli.parser import WIDEST, UsageError, error_text, wrapped


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the front: the status that rich takes would be a violation's."""
        raise BrokenPipeError


def make_console(*, stderr: bool = False) -> Console:
    """A console that colours on a terminal only, and leaves texts as they are."""
    console = _Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    # A pipe has no width, and a table in it shall not depend on one.
    console.width = min(console.width, WIDEST) if console.is_terminal else WIDEST
    return console


def print_lines(console: Console, *lines: str, style: str | None = None) -> None:
    """Print lines that are laid out already: nothing is wrapped or cut."""
    for line in lines:
        console.print(line, style=style, soft_wrap=True)


def print_wrapped(
    console: Console, text: str, indent: str = "", *, style: str | None = None
) -> None:
    """Print a paragraph as wide as the console; lines after the first are set off."""
    print_lines(console, *wrapped(text, indent, console.width), style=style)


def print_table(console: Console, table: Table) -> None:
    """Print a table, without the spaces that fill up its last column."""
    with console.capture() as capture:
        console.print(table)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    console.file.write("".join(f"{line}\n" for line in lines))


def progress_bar(console: Console) -> Progress:
    """How far a long command is, for a terminal."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def envelope(command: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object of a command: the version of its form, the command, the rest."""
    return {"uemu": 1, "command": command, **content}


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object to stdout."""
    sys.stdout.write(json_text(content))


def json_text(content: Mapping[str, Any]) -> str:
    """A JSON object as it goes to a file or to stdout."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def check_apart(args: argparse.Namespace, *options: str) -> None:
    """Check that options which name files name different ones.

    Raises:
        UsageError: two name one; the later would take the place of the earlier.
    """
    known: dict[str, str] = {}
    for option in options:
        path = getattr(args, option, None)
        # /dev/stdout or a pipe takes one after the other.
        if path is None or path == "-" or (os.path.exists(path) and not os.path.isfile(path)):
            continue
        other = known.setdefault(os.path.realpath(path), option)
        if other != option:
            raise UsageError(f"--{other} and --{option} are one file, {path}: name two")


class TextFile:
    """A file that a text goes to when the work is done.

    It is opened at once: who mistyped its name shall not wait to learn so.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with open(path, "a", encoding="utf-8"):
                pass
        except OSError as error:
            raise _cannot_write(path, error) from None

    def write_text(self, text: str) -> None:
        """Replace what the file holds.

        Raises:
            UsageError: it cannot be written.
        """
        try:
            # An argument may hold any byte: what is no text becomes an escape.
            with open(self.path, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            raise _cannot_write(self.path, error) from None


class JsonFile(TextFile):
    """A file that a JSON object goes to when the work is done."""

    def write(self, content: Mapping[str, Any]) -> None:
        """Replace what the file holds.

        Raises:
            UsageError: it cannot be written.
        """
        self.write_text(json_text(content))


class LineFile:
    """A file that lines go to as they come, ``-`` for stderr; each is there at once.

    Once it cannot be written to, the lines are dropped and one message says
    so: what is being told about goes on.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.file: TextIO | None = sys.stderr
        if path != "-":
            try:
                self.file = _open_lines(path)
            except OSError as error:
                raise _cannot_write(path, error) from None

    def line(self, text: str) -> None:
        """Write one line."""
        if self.file is None:
            return
        try:
            self.file.write(f"{text}\n")
        except OSError as error:
            self.close()
            if self.path != "-":
                sys.stderr.write(error_text(str(_cannot_write(self.path, error))))

    def close(self) -> None:
        """Nothing more comes."""
        file, self.file = self.file, None
        if file is not None and file is not sys.stderr:
            with contextlib.suppress(OSError):
                file.close()


def _open_lines(path: str) -> TextIO:
    return open(path, "w", buffering=1, encoding="utf-8", errors="backslashreplace")


def _cannot_write(path: str, error: OSError) -> UsageError:
    return UsageError(f"cannot write {path}: {error.strerror or error}")
