"""``uemu run``: what it hands to the engine, what it makes of the result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Uemu
from tests.cli.made_engine import MadeEngine, MadeOptions
from tests.report.program_runs import LOST, SEEN, made_result
from uemu.errors import HostError
from uemu.live.program.result import RunResult
from uemu.policy.registry import NEWEST, all_names, make_policy

ROOT = Path(__file__).resolve().parent.parent.parent


def error_of(err: str) -> str:
    """An error message that was folded, in one line."""
    return " ".join(err[err.index("uemu: error: ") :].split())


# What belongs to whom


@pytest.mark.parametrize(
    ("argv", "program"),
    [
        (["sh"], ["sh"]),
        (["sh", "-l"], ["sh", "-l"]),
        (["--", "sh", "-l"], ["sh", "-l"]),
        (["sh", "-q", "--policy", "no-such"], ["sh", "-q", "--policy", "no-such"]),
        (["sh", "--", "-x"], ["sh", "--", "-x"]),
        (["sh", "--help", "--version"], ["sh", "--help", "--version"]),
        (["-q", "sh", "", "-5", "two words"], ["sh", "", "-5", "two words"]),
        (["-q", "--", "sh", "--", "--"], ["sh", "--", "--"]),
        (["--seed", "3", "sh", "--seed", "4"], ["sh", "--seed", "4"]),
    ],
)
def test_what_follows_the_program_is_the_programs(
    argv: list[str], program: list[str], uemu: Uemu, engine: MadeEngine
) -> None:
    assert uemu("run", *argv).status == 0
    ((asked, _, _),) = engine.asked
    assert asked == program


def test_without_options_the_newest_policy_holds_transfers(uemu: Uemu, engine: MadeEngine) -> None:
    uemu("run", "sh")
    assert engine.asked == [(["sh"], NEWEST, MadeOptions("held", 0, 1000))]


def test_the_schedule_is_handed_on(uemu: Uemu, engine: MadeEngine) -> None:
    uemu("run", "--policy", "linux-5.9", "--dma=random", "--seed=7", "--hold-ms", "20", "sh")
    assert engine.asked == [(["sh"], "linux-5.9", MadeOptions("random", 7, 20))]


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        ([], "the following arguments are required: PROGRAM"),
        (["--"], "the following arguments are required: PROGRAM"),
        (["--policy", "linux-6,5", "sh"], "unknown policy 'linux-6,5'; nearest: linux-6.5"),
        (["--dma", "late", "sh"], "invalid choice: 'late'"),
        (["--repeat", "0", "sh"], "'0' is not a number from 1 on"),
        (["--seed", "-1", "sh"], "'-1' is not a number from 0 on"),
        (["--hold-ms", "soon", "sh"], "'soon' is not a number from 0 on"),
        (["--error-exitcode", "256", "sh"], "'256' is not a number from 0 to 255"),
        (["--json", "/missing/x", "sh"], "cannot write /missing/x: No such file"),
        (["--trace", "/missing/x", "sh"], "cannot write /missing/x: No such file"),
        (["--json", "x", "--trace", "./x", "sh"], "--json and --trace are one file, ./x: name two"),
        (["--json", "x", "--html", "x", "sh"], "--json and --html are one file, x: name two"),
        (["--device", "x:nic=/dev/y", "sh"], "--device is not in this version of uemu"),
        (["--pol", "linux-6.5", "sh"], "unrecognized arguments: --pol"),
    ],
)
def test_wrong_use_is_said_before_anything_runs(
    argv: list[str], error: str, uemu: Uemu, engine: MadeEngine
) -> None:
    done = uemu("run", *argv)
    assert (done.status, done.out, engine.asked) == (2, "", [])
    assert error in error_of(done.err)


# The report and the exit status


def test_a_clean_run_says_on_stderr_what_it_covered(uemu: Uemu, engine: MadeEngine) -> None:
    assert uemu("run", "sh") == (
        0,
        "",
        f"uemu: no violation under {NEWEST}\n"
        "uemu: 3 transfers, 2 overlapped a fork, 1 saw a later write to their pages\n",
    )


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (made_result(status=7), 7),
        (made_result(status=None, signal=signal.SIGSEGV), 139),
        (made_result(LOST), 0),
        (made_result(LOST, status=7), 7),
    ],
)
def test_the_exit_status_is_the_programs(
    result: RunResult, status: int, uemu: Uemu, engine: MadeEngine
) -> None:
    engine.results = [result]
    assert uemu("run", "sh").status == status
    assert uemu("run", "--error-exitcode", "0", "sh").status == status


@pytest.mark.parametrize(("violations", "status"), [((), 7), ((LOST,), 99)])
def test_error_exitcode_is_for_violations_only(
    violations: tuple[Any, ...], status: int, uemu: Uemu, engine: MadeEngine
) -> None:
    engine.results = [made_result(*violations, status=7)]
    assert uemu("run", "--error-exitcode", "99", "sh").status == status


def test_a_violation_is_told_and_the_last_line_runs_it_again(
    uemu: Uemu, engine: MadeEngine
) -> None:
    engine.results = [made_result(LOST)]
    done = uemu("run", "--policy", "linux-2.6.29", "--seed", "3", "sh", "-c", "exit 0")
    assert done.out == ""
    lines = done.err.splitlines()
    assert lines[0].startswith("uemu: lost-dma-write: process 4711")
    assert "are not deterministic" in done.err
    command = lines[-1].removeprefix("uemu: replay:  ")
    assert command == (
        "uemu run --policy linux-2.6.29 --dma held --seed 3 --hold-ms 1000 -- sh -c 'exit 0'"
    )


def test_a_note_is_said_when_it_is_made_and_once(uemu: Uemu, engine: MadeEngine) -> None:
    engine.results = [made_result(notes=("io_uring is not emulated",))]
    done = uemu("run", "sh")
    assert done.err.startswith("uemu: io_uring is not emulated\n")
    assert uemu("run", "--repeat", "3", "sh").err.count("io_uring") == 1


def test_quiet_is_for_runs_with_nothing_to_say(uemu: Uemu, engine: MadeEngine) -> None:
    assert uemu("run", "-q", "sh").err == ""
    engine.results = [made_result(status=None, signal=9)]
    assert uemu("run", "-q", "sh") == (137, "", "")
    engine.results = [made_result(LOST)]
    assert "lost-dma-write" in uemu("run", "-q", "sh").err
    engine.results = [made_result(notes=("io_uring is not emulated",))]
    assert "3 transfers" in uemu("run", "-q", "sh").err


def test_who_does_not_read_the_report_still_gets_the_exit_status() -> None:
    script = (
        "import sys; from uemu.cli.output import LineFile; file = LineFile('-');"
        " file.line('one'); file.line('two'); sys.exit(7)"
    )
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], stderr=writer, env=environment, check=False
        )
    finally:
        os.close(writer)
    assert done.returncode == 7


# JSON


def test_json_has_the_result(uemu: Uemu, engine: MadeEngine, tmp_path: Path) -> None:
    engine.results = [made_result(LOST, status=7)]
    path = tmp_path / "run.json"
    uemu("run", "--json", str(path), "sh", "-c", "x")
    content = json.loads(path.read_text())
    assert (content["command"], content["policy"]) == ("run", NEWEST)
    assert (content["program"], content["exit"]) == (["sh", "-c", "x"], {"status": 7})
    assert [each["kind"] for each in content["violations"]] == ["lost-dma-write"]
    assert "repeat" not in content


@pytest.mark.parametrize(
    ("argv", "error", "status", "why"),
    [
        (["no-such-program"], None, 127, "no-such-program: no such program in PATH"),
        (["/dev"], None, 126, "/dev: is a directory"),
        (["--policy", "no-such", "sh"], None, 2, "unknown policy 'no-such'"),
        (["--trace", "/missing/x", "sh"], None, 2, "cannot write /missing/x"),
        (["sh"], HostError("tracing sh", "EPERM", "Ask."), 3, "tracing sh: EPERM"),
        (["sh"], ZeroDivisionError("by zero"), 70, "by zero"),
    ],
)
def test_what_uemu_cannot_do_has_a_status_of_its_own_and_is_in_the_json(
    argv: list[str],
    error: Exception | None,
    status: int,
    why: str,
    uemu: Uemu,
    engine: MadeEngine,
    tmp_path: Path,
) -> None:
    engine.error = error
    path = tmp_path / "run.json"
    done = uemu("run", "--json", str(path), *argv)
    assert (done.status, done.out) == (status, "")
    assert why in done.err
    content = json.loads(path.read_text())
    assert (content["exit"], content["uemu"], content["command"]) == (None, 1, "run")
    assert why in content["error"]


def test_a_program_that_cannot_be_run_has_its_remedy(
    uemu: Uemu, engine: MadeEngine, tmp_path: Path
) -> None:
    path = tmp_path / "tool"
    path.write_text("echo hello\n")
    done = uemu("run", str(path))
    assert (done.status, engine.asked) == (126, [])
    assert f"remedy: Run: chmod +x {path}" in error_of(done.err)


# The trace


def test_a_trace_has_a_line_for_each_event(uemu: Uemu, engine: MadeEngine, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    assert "page_freed" not in uemu("run", "--trace", str(path), "sh").err
    assert path.read_text() == "page_freed(pfn=1)\n"
    uemu("run", "--repeat", "2", "--seed", "5", "--trace", str(path), "sh")
    assert path.read_text().splitlines() == [
        "# run 1, seed 5",
        "page_freed(pfn=2)",
        "# run 2, seed 6",
        "page_freed(pfn=3)",
    ]


def test_a_trace_on_stderr_can_be_told_from_the_program(uemu: Uemu, engine: MadeEngine) -> None:
    assert "uemu: page_freed(pfn=1)\n" in uemu("run", "--trace", "-", "sh").err


def test_a_trace_that_fills_the_disk_ends_no_program(uemu: Uemu, engine: MadeEngine) -> None:
    done = uemu("run", "--trace", "/dev/full", "sh")
    assert done.status == 0
    assert "cannot write /dev/full" in done.err


def test_a_policy_that_is_not_for_programs_is_refused(uemu: Uemu, engine: MadeEngine) -> None:
    done = uemu("run", "--policy", "torvalds-2009-directed-cow", "sh")
    assert done.status == 2
    assert error_of(done.err) == (
        "uemu: error: torvalds-2009-directed-cow is not for programs: a store changes the page"
        " tables of other processes, which run on; `uemu matrix --policy"
        " torvalds-2009-directed-cow` tells what it does"
    )
    assert engine.asked == []


WAITING = [name for name in all_names() if make_policy(name).makes_wait]


@pytest.mark.parametrize("policy", WAITING)
def test_a_policy_that_makes_calls_wait_is_refused(
    uemu: Uemu, engine: MadeEngine, policy: str
) -> None:
    """A program's own system call or fault cannot be made to wait for a lock of ours."""
    done = uemu("run", "--policy", policy, "sh")
    assert done.status == 2
    assert error_of(done.err).startswith(f"uemu: error: {policy} is not for programs: ")
    assert f"`uemu matrix --policy {policy}`" in error_of(done.err)
    assert engine.asked == []


# Suppressions


def test_what_is_suppressed_is_counted_and_is_no_violation(
    uemu: Uemu, engine: MadeEngine, tmp_path: Path
) -> None:
    engine.results = [made_result(LOST, LOST)]
    known, path = tmp_path / "known", tmp_path / "run.json"
    known.write_text("{\n  what we know\n  uemu:lost-dma-write\n}\n")
    options = ("--suppressions", str(known), "--error-exitcode", "9", "--json", str(path))
    done = uemu("run", *options, "sh")
    assert done.status == 0
    assert done.err.startswith(f"uemu: no violation under {NEWEST}\n")
    assert done.err.endswith("uemu: 2 suppressed: 2 by 'what we know'\n")
    content = json.loads(path.read_text())
    assert (content["violations"], content["suppressed"]) == ([], {"what we know": 2})
    assert "2 suppressed" in uemu("run", *options, "--repeat", "1", "sh").err
    assert "2 suppressed" in uemu("check", *options, "--policy", NEWEST, "sh").err
    known.write_text("{\n  another\n  uemu:livelock\n}\n")
    assert uemu("run", *options, "sh").status == 9
    assert "suppressed" not in uemu("run", *options, "sh").err


@pytest.mark.parametrize(("text", "why"), [(None, "cannot read"), ("{", "has no '}'")])
def test_a_file_of_suppressions_that_is_none_is_refused(
    text: str | None, why: str, uemu: Uemu, engine: MadeEngine, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    if text is not None:
        known.write_text(text)
    for command in ("run", "check"):
        done = uemu(command, "--suppressions", str(known), "sh")
        assert done.status == 2
        assert why in done.err
    assert engine.asked == []


def test_json_has_what_is_told_together(uemu: Uemu, engine: MadeEngine, tmp_path: Path) -> None:
    engine.results = [made_result(SEEN, LOST, replace(LOST, address=0x2E00))]
    path = tmp_path / "run.json"
    uemu("run", "--json", str(path), "sh")
    content = json.loads(path.read_text())
    kinds = [each["kind"] for each in content["violations"]]
    (group,) = content["groups"]
    assert sorted(group["violations"]) == [0, 1, 2]
    assert group["kinds"] == [kinds[index] for index in group["violations"]]


# The page


def test_html_is_a_page_of_the_first_run_with_a_violation(
    uemu: Uemu, engine: MadeEngine, tmp_path: Path
) -> None:
    path = tmp_path / "run.html"
    engine.results = [made_result(), made_result(LOST), made_result(SEEN)]
    uemu("run", "--html", str(path), "--repeat", "3", "--seed", "5", "sh", "-c", "<x>")
    page = path.read_text()
    assert page.startswith("<!doctype html>")
    assert "--seed 6 " in page
    assert "lost-dma-write" in page
    assert "dma-write-seen-by-other" not in page
    assert "<x>" not in page
    engine.asked.clear()
    engine.results = [made_result()]
    uemu("run", "--html", str(path), "--trace", str(tmp_path / "trace"), "sh")
    assert "no violation" in path.read_text()
    assert (tmp_path / "trace").read_text() == "page_freed(pfn=1)\n"


def test_a_page_that_cannot_be_written_is_refused_before_anything_runs(
    uemu: Uemu, engine: MadeEngine
) -> None:
    done = uemu("run", "--html", "/missing/x", "sh")
    assert (done.status, engine.asked) == (2, [])
    assert "cannot write /missing/x" in done.err
