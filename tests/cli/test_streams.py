"""Streams that are closed, full, or read by nobody, of a uemu that is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from uemu.cli import main as front

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent


def _shell(
    script: str, *argv: str, stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Run a line of sh, in which ``"$@"`` is uemu with these arguments."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    return subprocess.run(
        ["/bin/sh", "-c", script, "sh", sys.executable, "-m", "uemu", *argv],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        check=False,
    )


# What json writes, what rich writes, what argparse writes.
@pytest.mark.parametrize("argv", ["policies --json", "explain C04", "--help"])
class TestOutput:
    def test_a_reader_who_goes_away_is_no_error_and_no_violation(self, argv: str) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = _shell('exec "$@"', *argv.split(), stdout=writer)
        finally:
            os.close(writer)
        assert (done.returncode, done.stderr) == (front.NO_READER, "")

    def test_a_full_disk_is_told_and_is_no_mistake_of_uemu(self, argv: str) -> None:
        done = _shell('exec "$@" >/dev/full', *argv.split())
        assert done.returncode == front.USAGE
        assert done.stderr == "uemu: error: cannot write the output: No space left on device\n"

    def test_what_is_closed_is_as_what_goes_to_dev_null(self, argv: str) -> None:
        done = _shell('exec "$@" >&-', *argv.split())
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-", "<&- >&- 2>&-"])
def test_an_error_that_cannot_be_told_keeps_its_status(stderr: str) -> None:
    for argv in (["explain", "nothing"], ["explore"]):
        assert _shell(f'exec "$@" {stderr}', *argv).returncode == front.USAGE


@pytest.mark.needs_ptrace
@pytest.mark.parametrize(
    ("closed", "status"), [("", 1), (">&-", 11), ("2>&-", 12), ("<&- >&- 2>&-", 112)]
)
def test_what_is_closed_is_closed_to_a_program(closed: str, status: int) -> None:
    asks = 'for fd in 1 2; do [ -e /proc/$$/fd/$fd ] || r="$r$fd"; done; exit 1$r'
    assert _shell(f'exec "$@" {closed}', "run", "--", "sh", "-c", asks).returncode == status
