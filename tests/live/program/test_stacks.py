"""Where in a program the events of a story happened: functions, files and lines."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.live.program.conftest import PROGRAMS
from tests.live.program.running import MAIN, PYTHON, uemu_run

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.slow]

Program = Callable[[str], Path]

OLD = "linux-2.6.29"


def line_of(text: str, name: str = "lost_read.c") -> int:
    """Where that stands in a program's source."""
    lines = (PROGRAMS / name).read_text().splitlines()
    (number,) = (number for number, line in enumerate(lines, 1) if text in line)
    return number


def places(line: dict[str, Any]) -> dict[str, int]:
    """The functions of the program itself that a line of a story names, and where they were."""
    return {
        frame["function"]: frame["line"]
        for frame in line["stack"]
        if os.path.basename(frame["file"]) in ("lost_read.c", "reverse_race.c")
    }


@pytest.mark.needs_libdw
def test_each_event_of_a_thread_has_the_line_it_came_from(
    demo_program: Program, tmp_path: Path
) -> None:
    ran = uemu_run(tmp_path, demo_program("lost_read"), policy=OLD)
    lost = next(each for each in ran.json["violations"] if each["kind"] == "lost-dma-write")
    by_event = {line["event"]: line for line in lost["story"]}
    reads = line_of("count = pread(")
    assert places(by_event["got"]) == {"read_once": reads}
    assert places(by_event["forked"]) == {"fork_on_and_on": line_of("pid = start_child(")}
    assert places(by_event["copied"]) == {"read_once": reads}, "the neighbour's read breaks COW"
    assert by_event["device-wrote"]["stack"] == []
    assert "at read_once (lost_read.c:" in ran.err
    assert "start_thread" not in ran.err


@pytest.mark.needs_libdw
def test_a_store_has_the_line_of_who_stores(demo_program: Program, tmp_path: Path) -> None:
    ran = uemu_run(tmp_path, demo_program("reverse_race"), policy=OLD)
    (foreign,) = ran.json["violations"]
    stored = next(line for line in foreign["story"] if line["event"] == "stored")
    assert places(stored)["be_child"] == line_of("memset(buffer, 'C', LENGTH);", "reverse_race.c")
    copied = next(line for line in foreign["story"] if line["event"] == "copied")
    assert places(copied) == {"main": line_of("memset(buffer, 'P', LENGTH);", "reverse_race.c")}


WITHOUT = f"import uemu.host.libdw as l; l.LIBRARY = 'libdw-is-not-here.so.1'; {MAIN}"


def test_without_the_library_that_is_said_once_and_the_report_has_no_stacks(
    demo_program: Program, tmp_path: Path
) -> None:
    command = [PYTHON, "-c", WITHOUT, "run", "--policy", OLD, "--repeat", "2", "--"]
    done = subprocess.run(
        [*command, str(demo_program("lost_read"))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr.count("stories have no stacks") == 1
    assert "lost-dma-write" in done.stderr
    assert "lost_read.c:" not in done.stderr


@pytest.mark.needs_libdw
def test_the_page_of_a_run_has_its_stacks_and_its_decisions(
    demo_program: Program, tmp_path: Path
) -> None:
    page = tmp_path / "run.html"
    ran = uemu_run(
        tmp_path, demo_program("lost_read"), policy=OLD, options=("--html", str(page))
    )  # fmt: skip
    text = page.read_text()
    assert f"at read_once (lost_read.c:{line_of('count = pread(')})" in text
    forks = ran.json["stats"]["forks"]
    assert 0 < text.count('data-what="fork"') <= forks
    assert text.count('data-what="violation"') == len(ran.json["violations"])
    assert text.count('data-what="takes pages"') == ran.json["stats"]["transfers"]


def test_a_program_without_symbols_has_addresses(demo_program: Program, tmp_path: Path) -> None:
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-o", str(stripped), str(demo_program("lost_read"))], check=True)
    ran = uemu_run(tmp_path, stripped, policy=OLD)
    assert "lost-dma-write" in ran.kinds
    assert "(in stripped)" in ran.err
