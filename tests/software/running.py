"""A command, native and under uemu: both must give the same."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.live.program.running import MAIN, PYTHON
from uemu.policy.registry import NEWEST

LIMIT = 300
"""Seconds after which something hangs."""


class Gave(NamedTuple):
    """What a command gave: exit status and output."""

    status: int
    out: str


def native(cwd: Path, *command: str, env: Mapping[str, str] | None = None, text: str = "") -> Gave:
    """Run a command as it is; what it said on stderr is shown if the test fails."""
    done = subprocess.run(
        command, cwd=cwd, env=env, input=text, stdout=subprocess.PIPE, text=True, timeout=LIMIT
    )
    return Gave(done.returncode, done.stdout)


def under_uemu(*command: str, report: Path, policy: str = NEWEST) -> list[str]:
    """The command that runs another one under uemu and leaves its JSON in ``report``."""
    options = ["--policy", policy, "-q", "--json", str(report)]
    return [PYTHON, "-c", MAIN, "run", *options, "--", *command]


def traced(
    cwd: Path, *command: str, env: Mapping[str, str] | None = None, text: str = ""
) -> tuple[Gave, dict[str, Any]]:
    """Run a command under uemu; what it gave, and uemu's report."""
    report = cwd / "uemu-report.json"
    gave = native(cwd, *under_uemu(*command, report=report), env=env, text=text)
    content: dict[str, Any] = json.loads(report.read_text())
    report.unlink()
    return gave, content
