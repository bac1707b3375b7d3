"""A signal in the middle of a call that the tracer has made a task begin anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.program.conftest import OURS, compile_program
from tests.live.program.running import MAIN

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.needs_memfd, pytest.mark.slow]

SENDS = """
import os, signal, sys
from uemu.live.program import calls

before = calls.Calls.break_cow

def instead(self, task, ranges):
    before(self, task, ranges)
    if task.injected and task.stop is not None and task.stop.nr in (45, 232):
        print("in the middle of", task.stop.nr, file=sys.stderr)
        os.kill(task.pid, signal.SIGUSR1)

calls.Calls.break_cow = instead
"""
"""SIGUSR1 for who is about to make recvfrom(2) or epoll_wait(2) a second time."""

SAID = """\
recv, SA_RESTART: 1
epoll_wait, SA_RESTART: EINTR
recv: EINTR
EXIT-SUCCESS
"""


def test_sa_restart_says_whether_a_call_goes_on(tmp_path: Path) -> None:
    source = Path(__file__).with_name("midst") / "restarts.c"
    program = compile_program(tmp_path / "restarts", source, *OURS)
    options = ["--policy", "linux-2.6.29", "--dma", "immediate"]
    done = subprocess.run(
        [sys.executable, "-c", SENDS + MAIN, "run", *options, "--", str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    assert (done.stdout, done.returncode) == (SAID, 0), done.stderr
    assert done.stderr.count("in the middle of 45") == 2
    assert done.stderr.count("in the middle of 232") == 1
