"""``uemu check`` of real programs: where each of our demo programs becomes safe, and why."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.program.running import MAIN, PYTHON
from uemu.policy.registry import KERNELS

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.slow]

Program = Callable[[str], Path]


def uemu_check(cwd: Path, *argv: str | Path) -> tuple[list[str], dict[str, object]]:
    """Check a program in a folder: the lines of the table, the JSON object."""
    report = cwd / "check.json"
    command = [PYTHON, "-c", MAIN, "check", "--json", str(report), *map(str, argv)]
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines(), json.loads(report.read_text())


def test_lost_read_is_safe_from_6_5_on_and_two_lines_say_why(
    demo_program: Program, tmp_path: Path
) -> None:
    lines, content = uemu_check(tmp_path, "--", demo_program("lost_read"))
    assert content["first_safe"] == "linux-6.5"
    at = next(i for i, line in enumerate(lines) if line.startswith("uemu: safe from"))
    assert lines[at].startswith("uemu: safe from 6.5 on: linux-5.19 before it shows lost-dma-write")
    assert lines[at + 1].startswith("uemu: why: linux-6.5: ")
    assert "O_DIRECT pins" in lines[at + 1]
    assert lines[at + 2].startswith("uemu: replay:  uemu run --policy linux-5.19 ")
    policies = content["policies"]
    assert isinstance(policies, list)
    assert [each["verdict"] for each in policies] == [*["violated"] * (len(KERNELS) - 1), "safe"]


def test_reverse_race_is_safe_from_5_8_on(demo_program: Program, tmp_path: Path) -> None:
    _, content = uemu_check(tmp_path, "--", demo_program("reverse_race"))
    assert content["first_safe"] == "linux-5.8"


@pytest.mark.needs_kernel("io_uring")
def test_a_registered_buffer_is_safe_from_5_9_on_when_fork_copies_what_is_pinned(
    demo_program: Program, tmp_path: Path
) -> None:
    lines, content = uemu_check(tmp_path, "--", demo_program("registered"))
    assert content["first_safe"] == "linux-5.9"
    assert any(line.startswith("uemu: why: linux-5.9: ") for line in lines)


def test_what_a_child_puts_into_a_pipe_is_safe_from_5_8_on(
    demo_program: Program, tmp_path: Path
) -> None:
    _, content = uemu_check(tmp_path, "--", demo_program("leak"))
    assert content["first_safe"] == "linux-5.8"


@pytest.mark.parametrize(("option", "verdict"), [("-d", "safe"), ("-fnone", "untested")])
def test_a_mended_program_is_safe_everywhere_and_one_that_never_forks_is_not_called_so(
    option: str, verdict: str, demo_program: Program, tmp_path: Path
) -> None:
    chosen = ("--policy", "linux-2.6.29", "--policy", "linux-6.5")
    _, content = uemu_check(tmp_path, *chosen, "--", demo_program("lost_read"), option)
    policies = content["policies"]
    assert isinstance(policies, list)
    assert [each["verdict"] for each in policies] == [verdict, verdict]
