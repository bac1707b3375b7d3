"""``uemu watch`` on a real program: lines without a terminal, a picture on one."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.live.program.running import MAIN, PYTHON

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.slow]

SOURCE = Path(__file__).parents[2] / "demos/programs/lost_read.c"


@pytest.fixture(scope="module")
def lost_read(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watch")
    program = folder / "lost_read"
    subprocess.run(["gcc", "-O1", "-pthread", str(SOURCE), "-o", str(program)], check=True)
    return program


def command(*options: str, program: Path) -> list[str]:
    return [PYTHON, "-c", MAIN, "watch", *options, "--", str(program)]


def test_lines_on_stderr_and_the_report_after_them(lost_read: Path, tmp_path: Path) -> None:
    options = ("--policy", "linux-2.6.29", "--json", str(tmp_path / "r.json"))
    done = subprocess.run(
        command(*options, program=lost_read), cwd=tmp_path, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    lines = done.stderr.splitlines()
    assert done.returncode == 1  # the program's own
    assert all(line.startswith("uemu: ") or line == "uemu:" for line in lines)
    assert any("!  VIOLATION lost-dma-write" in line for line in lines)
    assert any("A is lost_read[" in line or "is lost_read[" in line for line in lines)
    told = next(nr for nr, line in enumerate(lines) if "VIOLATION" in line)
    report = next(nr for nr, line in enumerate(lines) if line.startswith("uemu: lost-dma-write:"))
    assert told < report
    content = json.loads((tmp_path / "r.json").read_text())
    kinds = {violation["kind"] for violation in content["violations"]}
    assert "lost-dma-write" in kinds


def test_a_kernel_that_keeps_the_read_shows_no_violation(lost_read: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        command(program=lost_read), cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert "VIOLATION" not in done.stderr
    assert "copies pfn" in done.stderr


def on_a_terminal(argv: list[str], cwd: Path, **env: str) -> tuple[int, str]:
    """Run a command on a terminal of its own; its status, and all that was written there."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execvpe(argv[0], argv, {**os.environ, "TERM": "xterm-256color", **env})
    out = b""
    while True:
        try:
            data = os.read(terminal, 1 << 16)
        except OSError:
            break
        if not data:
            break
        out += data
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode()


def test_a_picture_on_a_terminal_below_what_the_program_says(
    lost_read: Path, tmp_path: Path
) -> None:
    argv = command("--policy", "linux-2.6.29", "--delay-ms", "0", program=lost_read)
    status, out = on_a_terminal(argv, tmp_path, NO_COLOR="1", COLUMNS="100", LINES="50")
    assert status == 1
    assert "in flight" in out
    assert "decisions" in out
    assert "VIOLATION lost-dma-write" in out
    assert "bytes are wrong" in out
    assert out.rindex("uemu: replay:") > out.rindex("decisions")
    assert "\x1b[1;31m" not in out


def test_a_dumb_terminal_gets_lines(tmp_path: Path) -> None:
    status, shown = on_a_terminal(command(program=Path("/bin/true")), tmp_path, TERM="dumb")
    assert status == 0
    assert "\x1b" not in shown
    assert "uemu: *    A is true[" in shown


def test_the_programs_output_stays_its_own(lost_read: Path, tmp_path: Path) -> None:
    program = tmp_path / "says"
    program.write_text("#!/bin/sh\ntest -t 1 && echo out; echo err >&2; exit 3\n")
    program.chmod(0o755)
    status, out = on_a_terminal(command(program=program), tmp_path, COLUMNS="100", LINES="50")
    assert status == 3
    assert "out" in out
    assert "err" in out
