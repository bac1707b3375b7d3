"""Types of options, and how wide help is."""

from __future__ import annotations

import argparse

import pytest

from tests.cli.conftest import Uemu
from uemu.cli.parser import Parser, number_from, positive


@pytest.mark.parametrize("text", ["0", "-1", "", "one", "1.5"])
def test_a_number_from_1_on(text: str) -> None:
    assert positive("17") == 17
    with pytest.raises(argparse.ArgumentTypeError, match="is not a number from 1 on"):
        positive(text)


def test_a_number_with_bounds() -> None:
    parse = number_from(0, 255)
    assert [parse("0"), parse("255")] == [0, 255]
    for text in ("-1", "256", "x"):
        with pytest.raises(argparse.ArgumentTypeError, match="is not a number from 0 to 255"):
            parse(text)
    with pytest.raises(argparse.ArgumentTypeError, match="'-1' is not a number from 0 on"):
        number_from(0)("-1")


def test_options_are_not_abbreviated() -> None:
    parser = Parser(prog="uemu")
    parser.add_argument("--policy")
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["--pol", "linux-6.5"])
    assert stop.value.code == 2


@pytest.mark.parametrize("columns", ["60", "300"])
def test_help_is_as_wide_as_the_terminal_but_no_wider_than_100(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = uemu("explore", "--help").out.splitlines()
    assert max(map(len, lines)) <= min(int(columns), 100)
