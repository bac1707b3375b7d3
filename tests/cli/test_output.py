"""Consoles and JSON files."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from uemu.cli.output import (
    JsonFile,
    LineFile,
    TextFile,
    envelope,
    make_console,
    print_lines,
    print_table,
)
from uemu.cli.parser import UsageError


def test_without_a_terminal_a_console_is_100_wide_and_has_no_colours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    console = make_console()
    assert console.width == 100
    print_lines(console, "word " * 30, "[bold]:smile:", style="bold red")
    assert capsys.readouterr().out == "word " * 30 + "\n[bold]:smile:\n"


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("300", 100)])
def test_a_wide_terminal_is_used_up_to_100(
    monkeypatch: pytest.MonkeyPatch, columns: str, width: int
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", columns)
    assert make_console().width == width


def test_no_color_is_respected_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    print_lines(make_console(), "lost", style="red")
    assert "\x1b[31m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    print_lines(make_console(), "lost", style="red")
    assert capsys.readouterr().out == "lost\n"


def test_a_table_leaves_no_spaces_at_the_end_of_a_line() -> None:
    file = io.StringIO()
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row("a", "long cell")
    table.add_row("b", "x")
    print_table(Console(file=file, width=40), table)
    assert file.getvalue() == "a  long cell\nb  x\n"


def test_a_json_file_is_tried_at_once_and_replaced_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("what was there before")
    file = JsonFile(str(path))
    assert path.read_text() == "what was there before"
    file.write(envelope("explore", {"schedules": 3}))
    assert json.loads(path.read_text()) == {"uemu": 1, "command": "explore", "schedules": 3}


def test_a_json_file_that_cannot_be_written_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write .*/missing/x: No such file"):
        JsonFile(str(tmp_path / "missing" / "x"))
    with pytest.raises(UsageError, match="Is a directory"):
        JsonFile(str(tmp_path))
    full = JsonFile("/dev/full")
    with pytest.raises(UsageError, match="cannot write /dev/full: No space left"):
        full.write({})


def test_json_of_an_argument_that_is_no_text_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    JsonFile(str(path)).write({"program": ["a\udcff", "é"]})
    assert json.loads(path.read_text()) == {"program": ["a\udcff", "é"]}


def test_a_text_file_is_tried_at_once_and_replaced_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "picture.svg"
    path.write_text("what was there before")
    file = TextFile(str(path))
    assert path.read_text() == "what was there before"
    file.write_text("é\n")
    assert path.read_bytes() == "é\n".encode()


def test_a_line_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("what was there before")
    file = LineFile(str(path))
    assert path.read_text() == ""
    file.line("one")
    assert path.read_text() == "one\n"
    file.close()
    file.line("too late")
    assert path.read_text() == "one\n"


def test_a_dash_is_stderr_which_stays_open(capsys: pytest.CaptureFixture[str]) -> None:
    file = LineFile("-")
    file.line("one")
    file.close()
    LineFile("-").line("two")
    assert capsys.readouterr() == ("", "one\ntwo\n")


def test_a_line_file_that_cannot_be_opened_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Is a directory"):
        LineFile(str(tmp_path))


def test_a_full_disk_is_said_once_and_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    file = LineFile("/dev/full")
    for number in range(3):
        file.line(f"line {number}")
    assert capsys.readouterr().err == (
        "uemu: error: cannot write /dev/full: No space left on device\n"
    )
