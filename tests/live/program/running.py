"""Running `uemu run` in a process of its own, as a person does."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PYTHON = sys.executable
MAIN = "import sys; from uemu.cli.main import main; sys.exit(main(sys.argv[1:]))"


@dataclass(frozen=True)
class Ran:
    """What a run left: exit status, both outputs, the JSON object."""

    status: int
    out: str
    err: str
    json: dict[str, Any]

    @property
    def kinds(self) -> set[str]:
        """What was violated."""
        return {violation["kind"] for violation in self.json["violations"]}


def uemu_run(cwd: Path, *argv: str | Path, policy: str, options: tuple[str, ...] = ()) -> Ran:
    """Run a program under a policy, in a folder, for a minute at most."""
    report = cwd / "uemu-report.json"
    command = [PYTHON, "-c", MAIN, "run", "--policy", policy, "--json", str(report)]
    done = subprocess.run(
        [*command, *options, "--", *map(str, argv)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    content = json.loads(report.read_text())
    report.unlink()
    return Ran(done.returncode, done.stdout, done.stderr, content)
