"""A transfer is held for as long as anybody may still do something about it.

    writer          child               tracer
    write: held     stores: fault
                                        looks: the child does not run
                                        lets the transfer go
                                        hears of the child's fault

One look is not enough: who stopped, or was woken, since the last report was waited
for seems to rest.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.program.running import MAIN

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.needs_memfd, pytest.mark.slow]

DELUDED = """\
from uemu.live.program.session import Session
answers = iter({answers})
look = Session._can_go_on
Session._can_go_on = lambda self: next(answers, True) and look(self)
"""


@pytest.mark.parametrize(
    ("answers", "races"),
    [
        ([False, True] * 1000, True),
        # The negative control: two in a row mean that nobody can go on.
        ([False, False] * 1000, False),
    ],
)
def test_a_look_that_is_wrong_once_ends_no_transfer(
    demo_program: Callable[[str], Path], tmp_path: Path, answers: list[bool], races: bool
) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "-c", DELUDED.format(answers=answers) + MAIN, "run"]
    command += ["--policy", "linux-2.6.29", "--json", str(report)]
    command += ["--", str(demo_program("reverse_race"))]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
    )
    assert done.returncode in (0, 1), done.stderr
    kinds = {violation["kind"] for violation in json.loads(report.read_text())["violations"]}
    assert kinds == ({"foreign-dma-read"} if races else set())
