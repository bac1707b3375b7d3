"""``uemu check``: which policies, which exit status, what is written where."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Uemu
from tests.cli.made_engine import MadeEngine
from tests.report.program_runs import LOST, made_result
from uemu.errors import HostError
from uemu.policy.registry import KERNELS, POLICIES, make_policy


def asked(engine: MadeEngine) -> list[str]:
    """The policies that the program was run under."""
    return [policy for _, policy, _ in engine.asked]


def test_every_kernel_in_turn_and_one_table(uemu: Uemu, engine: MadeEngine) -> None:
    engine.results = [*[made_result(LOST, status=1)] * (len(KERNELS) - 1), made_result()]
    done = uemu("check", "--", "sh", "-c", "true")
    assert (done.status, done.out) == (0, "")
    assert asked(engine) == list(KERNELS)
    lines = done.err.splitlines()
    assert lines[0] == f"uemu: 1 of {len(KERNELS)}: {KERNELS[0]}"
    rows = [line.split()[1:3] for line in lines if "VIOLATED" in line or " safe " in line[:40]]
    assert [row for row in rows if row[0] in KERNELS] == [
        *([name, "VIOLATED"] for name in KERNELS[:-1]),
        [KERNELS[-1], "safe"],
    ]
    assert any(
        line.startswith(f"uemu: safe from {KERNELS[-1].removeprefix('linux-')} on: ")
        for line in lines
    )
    assert lines[-1] == (
        f"uemu: replay:  uemu run --policy {KERNELS[-2]} --dma held --seed 0 --hold-ms 1000"
        " -- sh -c true"
    )


def test_all_lists_those_that_are_not_for_programs_with_the_reason(
    uemu: Uemu, engine: MadeEngine
) -> None:
    done = uemu("check", "--all", "sh")
    cannot = {name: make_policy(name).not_for_programs for name in POLICIES}
    assert asked(engine) == [name for name, why in cannot.items() if why is None]
    told = " ".join(line.removeprefix("uemu: ").strip() for line in done.err.splitlines())
    for name, why in cannot.items():
        assert why is None or f"not run: {name}: {why}" in told


def test_policies_are_taken_in_the_order_they_are_named(uemu: Uemu, engine: MadeEngine) -> None:
    uemu("check", "--policy", "linux-6.5", "--policy", "linux-4.19", "--policy", "linux-6.5", "sh")
    assert asked(engine) == ["linux-6.5", "linux-4.19"]


def test_repeat_runs_all_seeds_under_each(uemu: Uemu, engine: MadeEngine) -> None:
    done = uemu("check", "--policy", "linux-6.5", "--repeat", "3", "--seed", "7", "sh")
    assert [options.seed for _, _, options in engine.asked] == [7, 8, 9]
    assert "replay" not in done.err


@pytest.mark.parametrize(("violations", "status"), [((), 0), ((LOST,), 9)])
def test_error_exitcode_is_for_violations_and_the_programs_status_is_not_ours(
    violations: tuple[object, ...], status: int, uemu: Uemu, engine: MadeEngine
) -> None:
    engine.results = [made_result(*(LOST for _ in violations), status=5), made_result(status=5)]
    assert uemu("check", "--error-exitcode", "9", "sh").status == status
    engine.asked.clear()
    assert uemu("check", "sh").status == 0


def test_quiet_says_nothing_if_nothing_was_violated(uemu: Uemu, engine: MadeEngine) -> None:
    assert uemu("check", "-q", "sh").err == ""
    engine.results = [made_result(LOST)]
    assert "VIOLATED" in uemu("check", "-q", "sh").err


def test_json_has_the_first_safe_kernel(uemu: Uemu, engine: MadeEngine, tmp_path: Path) -> None:
    engine.results = [made_result(LOST), made_result()]
    path = tmp_path / "check.json"
    uemu("check", "--json", str(path), "--policy", "linux-5.19", "--policy", "linux-6.5", "sh")
    content = json.loads(path.read_text())
    assert (content["command"], content["first_safe"]) == ("check", "linux-6.5")
    assert [each["verdict"] for each in content["policies"]] == ["violated", "safe"]


def test_a_trace_says_which_policy(uemu: Uemu, engine: MadeEngine, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    uemu("check", "--trace", str(path), "--policy", "linux-5.19", "--policy", "linux-6.5", "sh")
    assert path.read_text().splitlines() == [
        "# linux-5.19",
        "page_freed(pfn=1)",
        "# linux-6.5",
        "page_freed(pfn=2)",
    ]


def test_two_results_in_one_file_are_refused(
    uemu: Uemu, engine: MadeEngine, tmp_path: Path
) -> None:
    path = str(tmp_path / "x")
    done = uemu("check", "--json", path, "--trace", path, "sh")
    assert (done.status, engine.asked) == (2, [])
    assert "--json and --trace are one file" in done.err


def test_an_interrupt_ends_it_and_what_was_found_is_said(
    uemu: Uemu, engine: MadeEngine, tmp_path: Path
) -> None:
    engine.meanwhile = lambda: signal.raise_signal(signal.SIGINT)
    path = tmp_path / "check.json"
    done = uemu("check", "--json", str(path), "sh")
    assert (done.status, asked(engine)) == (130, [KERNELS[0]])
    assert f"uemu: {KERNELS[0]}  safe" in done.err
    content = json.loads(path.read_text())
    assert (content["first_safe"], content["interrupted"]) == (None, True)
    # Whoever was not asked has said nothing.
    assert "safe from" not in done.err
    assert f"why: interrupted under {KERNELS[0]}, 1 of {len(KERNELS)}: what came" in done.err
    engine.results = [made_result(LOST)]
    assert uemu("check", "--error-exitcode", "9", "sh").status == 9


@pytest.mark.parametrize(
    ("argv", "error", "status", "why"),
    [
        (["no-such-program"], None, 127, "no-such-program: no such program in PATH"),
        (["--policy", "no-such", "sh"], None, 2, "unknown policy 'no-such'"),
        (["sh"], HostError("tracing sh", "EPERM", "Ask."), 3, "tracing sh: EPERM"),
    ],
)
def test_what_cannot_be_done_has_the_status_it_has_for_run(
    argv: list[str],
    error: Exception | None,
    status: int,
    why: str,
    uemu: Uemu,
    engine: MadeEngine,
    tmp_path: Path,
) -> None:
    engine.error = error
    path = tmp_path / "check.json"
    done = uemu("check", "--json", str(path), *argv)
    assert (done.status, done.out) == (status, "")
    assert why in done.err
    assert why in json.loads(path.read_text())["error"]
