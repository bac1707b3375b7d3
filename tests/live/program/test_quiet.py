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
from itertools import cycle
from time import sleep
from uemu.live.program.session import Session
from uemu.live.program.tracees import Tracees

answers, looks, hear = cycle({answers}), 0, Tracees.next

def after_two_looks(tracees, timeout_ms):
    global looks
    looks = 0 if timeout_ms is None or looks == 2 else looks + 1
    if looks:
        return None
    sleep({late_s})
    return hear(tracees, timeout_ms)

Session._can_go_on = lambda self: next(answers)
Tracees.next = after_two_looks
"""
"""While something is held it is looked twice before each report is heard, whatever the
machine is busy with: were it left to time how often, the program might be faster."""


@pytest.mark.parametrize("late_s", [0, 0.02], ids=["in time", "late"])
@pytest.mark.parametrize(
    ("answers", "races"),
    [
        ([False, True], True),
        # The negative control: two in a row mean that nobody can go on.
        ([False, False], False),
    ],
    ids=["wrong once", "wrong twice"],
)
def test_a_look_that_is_wrong_once_ends_no_transfer(
    behaviour: Callable[[str], Path],
    tmp_path: Path,
    answers: list[bool],
    races: bool,
    late_s: float,
) -> None:
    report = tmp_path / "report.json"
    deluded = DELUDED.format(answers=answers, late_s=late_s)
    command = [sys.executable, "-c", deluded + MAIN, "run", "--hold-ms", "60000"]
    command += ["--policy", "linux-2.6.29", "--json", str(report)]
    command += ["--", str(behaviour("reverse_aio"))]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=50, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stdout) == (0, "EXIT-SUCCESS\n"), done.stderr
    kinds = {violation["kind"] for violation in json.loads(report.read_text())["violations"]}
    assert kinds == ({"foreign-dma-read"} if races else set())
