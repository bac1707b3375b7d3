"""Who is killed in the middle of what is done about others: nothing hangs, leaks or is lost.

Elsewhere (`test_hostile`) somebody dies at any moment; here the moment is chosen. Before
one of our functions is entered the process that it has to do with is killed, and is dead.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.program.conftest import OURS, compile_program
from tests.live.program.running import MAIN

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.needs_memfd, pytest.mark.slow]

KILLS = """
import sys
from uemu.host import native, procfs
from uemu.live.program import {module}

before, killed = {module}.{name}, []

def kill(pid):
    if pid is not None and not killed:
        killed.append(pid)
        print("it was killed", file=sys.stderr)
        native.kill(pid)
        while not procfs.is_dead(pid):
            pass

def instead(self, *args, **options):
    kill(({whom})(*args))
    return before(self, *args, **options)

{module}.{name} = instead
"""

NOBODY = "lambda *args: None"
PARENT = "lambda task: task.pid if task.mm.has_frames() else None"
CHILD = "lambda child, parent: child.pid if parent.mm.has_frames() else None"
RELATIVE = (
    "lambda mm, *args: mm.tasks[0].pid if mm.mm.name.startswith('child 1 of child') else None"
)
WORKER = "lambda mm, *args: mm.tasks[0].pid"

DEATHS = [
    ("fork", "births.Births._real_fork", PARENT, ["worker: signal 9"]),
    ("fork", "births.Births._settle", CHILD, ["child: signal 9", "worker: status 0"]),
    (
        "adopt",
        "adoption.Adoption._same_pages",
        RELATIVE,
        ["other: status 0", "relative: signal 9", "worker: status 0"],
    ),
    (
        "adopt",
        "framing.Framing.watch_writers",
        RELATIVE,
        ["other: status 0", "relative: signal 9", "worker: status 0"],
    ),
    ("aio", "direct.DirectIo._shown", NOBODY, ["worker: status 0"]),
    ("aio", "direct.DirectIo._shown", WORKER, ["worker: signal 9"]),
]
"""What the worker does, before what, who is killed, and what is said of it."""


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, compiled."""
    source = Path(__file__).with_name("midst") / "family.c"
    return compile_program(tmp_path_factory.mktemp("deaths") / "family", source, *OURS)


@pytest.mark.parametrize(
    ("does", "where", "whom", "said"),
    DEATHS,
    ids=[f"{does}-{where.rpartition('.')[2]}-{whom != NOBODY}" for does, where, whom, *_ in DEATHS],
)
def test_of_who_dies_in_the_middle_nothing_is_left(
    family: Path,
    tmp_path: Path,
    does: str,
    where: str,
    whom: str,
    said: list[str],
) -> None:
    module, _, name = where.partition(".")
    prelude = KILLS.format(module=module, name=name, whom=whom)
    report = tmp_path / "report.json"
    dma = "held" if does == "fork" else "immediate"
    options = ["--policy", "linux-6.5", "--dma", dma, "--json", str(report)]
    done = subprocess.run(
        [sys.executable, "-c", prelude + MAIN, "run", *options, "--", str(family), does],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    assert (done.stdout.splitlines(), done.returncode) == ([*said, "EXIT-SUCCESS"], 0), done.stderr
    ran = json.loads(report.read_text())
    # None of them was left to this machine's kernel.
    transfers = 2 if does == "fork" else 1
    assert (ran["violations"], ran["stats"]["transfers"]) == ([], transfers)
    is_reached = "was killed" in done.stderr
    assert is_reached == (whom != NOBODY)
