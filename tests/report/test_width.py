"""A report is as wide as the terminal that stderr is, and no wider than 99 columns."""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.report.program_runs import LOST, made_result
from uemu.cli.parser import error_text
from uemu.report.check_report import Checked, check_lines
from uemu.report.repeat_report import Tally
from uemu.report.run_report import run_lines
from uemu.report.width import NARROWEST, WIDEST, report_width


@contextmanager
def terminal(columns: int) -> Iterator[None]:
    """A terminal of so many columns in the place of stderr."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with os.fdopen(theirs, "w") as file, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(sys, "stderr", file)
        yield
    os.close(ours)


def test_what_is_no_terminal_is_as_wide_as_can_be() -> None:
    assert report_width() == WIDEST


@pytest.mark.parametrize(
    ("columns", "width"),
    [(0, NARROWEST), (10, NARROWEST), (80, 79), (100, 99), (200, WIDEST)],
)
def test_the_last_column_of_a_terminal_stays_free(columns: int, width: int) -> None:
    with terminal(columns):
        assert report_width() == width


def test_a_report_fits_80_columns() -> None:
    result = made_result(LOST)
    tally = Tally()
    tally.add(result, 0)
    with terminal(80):
        lines = run_lines(result, "linux-2.6.29", replay="")
        lines += check_lines([Checked("linux-2.6.29", None, tally, result)])
        lines += error_text("words " * 40, "remedy: " + "words " * 40).splitlines()
    assert [line for line in lines if len(line) > 79] == []
    with terminal(100):
        assert max(map(len, run_lines(result, "linux-2.6.29", replay=""))) > 79
