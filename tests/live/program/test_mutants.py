"""Without one of the things that keep a program from noticing us, it does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.program.running import MAIN

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.needs_memfd, pytest.mark.slow]

PATIENCE_S = 5
"""A program that hangs has noticed, too; as they are they take less than three."""

TRIES = 16
"""A race that is lost in every third run, say, is lost in one of these."""

OLD, NEW = "linux-2.6.29", "linux-6.5"

MUTANTS = [
    ("rseq", OLD, "held", "framing.Framing.leave_rseq", "lambda *args: None"),
    ("futex", OLD, "held", "framing.Framing._wake_waiters", "lambda *args: None"),
    ("segv_blocked", NEW, "held", "segv_action.SegvAction.restore", "lambda *args: None"),
    (
        "segv_exec",
        NEW,
        "held",
        "segv_action.SegvAction.after_exec",
        "lambda self, task: setattr(task.process, 'on_segv', None)",
    ),
    ("interrupted", NEW, "immediate", "tracees.Tracees.excuse", "lambda *args: None"),
    ("heap", NEW, "held", "mappings.Mappings._give_back", "lambda *args: []"),
    ("remote", OLD, "held", "remote.Remote.enters", "lambda *args: None"),
    ("uring", OLD, "held", "uring.Uring.returned", "lambda *args: None"),
    ("pipes", NEW, "held", "pipe_queue.Pipe.put", "lambda *args: None"),
    ("thread_memory", NEW, "held", "calls.written_at_exit", "lambda *args: []"),
]
"""A program of behaviour/, policy, --dma, what is taken away, and what is there instead."""


def command_of(program: Path, policy: str, dma: str, what: str, instead: str) -> list[str]:
    """A command line of uemu with something taken away."""
    module, _, name = what.partition(".")
    mutation = (
        f"from uemu.live.program import {module}\n"
        f"assert callable({what})\n"
        f"{module}.{name} = {instead}\n"
    )
    options = ["run", "--policy", policy, "--dma", dma, "--", str(program)]
    return [sys.executable, "-c", mutation + MAIN, *options]


def said(folder: Path, command: list[str]) -> str:
    """What a program printed; of one that is ended, or hangs, that."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return "it hangs"
    assert "Traceback" not in done.stderr
    return done.stdout if done.returncode == 0 else f"status {done.returncode}"


@pytest.mark.parametrize(
    ("name", "policy", "dma", "what", "instead"), MUTANTS, ids=[mutant[3] for mutant in MUTANTS]
)
def test_without_it_the_program_notices(
    behaviour: Callable[[str], Path],
    tmp_path: Path,
    name: str,
    policy: str,
    dma: str,
    what: str,
    instead: str,
) -> None:
    program = behaviour(name)
    natively = said(tmp_path, [str(program)])
    command = command_of(program, policy, dma, what, instead)
    assert any(said(tmp_path, command) != natively for _ in range(TRIES))
