"""``uemu replay``: a schedule, drawn again, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Uemu


def test_draws_a_run_without_violation(uemu: Uemu) -> None:
    done = uemu("replay", "dontfork", "--policy", "linux-2.6.29", "uemu1:")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith("Race: dontfork uemu1:0")
    assert lines[0].endswith(" -> no violation")
    assert lines[-2] == "no violation under linux-2.6.29 in dontfork"
    assert lines[-1].startswith("replay:  uemu replay dontfork --policy linux-2.6.29 uemu1:0")


def test_draws_what_a_schedule_shows_and_explains_the_state(uemu: Uemu) -> None:
    done = uemu("replay", "lost-read-no-child-write", "--policy", "linux-2.6.29", "uemu1:00011111")
    assert "\n    #  " in done.out
    assert "\nState: the frame that the parent maps" in done.out


def test_a_schedule_that_ends_early_goes_on_with_the_first_task(uemu: Uemu) -> None:
    short = uemu("replay", "dontfork", "--policy", "linux-6.5", "uemu1:1")
    schedule = short.out.splitlines()[-1].split()[-1]
    assert len(schedule) > len("uemu1:1")
    assert uemu("replay", "dontfork", "--policy", "linux-6.5", schedule) == short


def test_json_has_the_violations_and_the_drawing(uemu: Uemu, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    argv = ["child-corrupted", "--policy", "linux-2.6.29", "uemu1:0001111002"]
    done = uemu("replay", *argv, "--json", str(path))
    assert done == uemu("replay", *argv)
    result = json.loads(path.read_text())
    (verdict,) = result.pop("verdicts")
    (drawing,) = result.pop("drawings")
    assert result == {
        "uemu": 1,
        "command": "replay",
        "scenario": "child-corrupted",
        "policy": "linux-2.6.29",
        "memory_model": "sc",
        "ipi_waits_for_gup_fast": True,
        "schedule": "uemu1:0001111002",
    }
    assert verdict["kind"] == "dma-write-seen-by-other"
    assert verdict["story"][-1]["event"] == "device-wrote"
    assert drawing["verdicts"] == [verdict["kind"]]
    assert drawing["title"] in done.out
    assert f"replay:  {drawing['replay']}\n" in done.out


def test_json_of_a_run_without_violation_has_its_drawing(uemu: Uemu, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    argv = ("dontfork", "--policy", "linux-2.6.29", "uemu1:", "--json", str(path))
    assert uemu("replay", *argv).status == 0
    result = json.loads(path.read_text())
    assert result["verdicts"] == []
    (drawing,) = result["drawings"]
    assert drawing["verdicts"] == []
    # What was added to the schedule is there, too.
    assert drawing["schedule"] == result["schedule"] != "uemu1:"
    assert len(drawing["steps"]) == len(drawing["schedule"]) - len("uemu1:")


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["lost-raed", "--policy", "linux-6.5", "uemu1:0"], "unknown scenario 'lost-raed'"),
        (["lost-read", "--policy", "linux-6,5", "uemu1:0"], "nearest: linux-6.5"),
        (["lost-read", "uemu1:0"], "the following arguments are required: --policy"),
        (["lost-read", "--policy", "linux-6.5"], "are required: SCHEDULE"),
        (["lost-read", "--policy", "linux-6.5", "0112"], "does not begin with 'uemu1:'"),
        (["lost-read", "--policy", "linux-6.5", "uemu9:0"], "does not begin with 'uemu1:'"),
        (["lost-read", "--policy", "linux-6.5", "uemu1:0_1"], "has '_' in column 8"),
        (["lost-read", "--policy", "linux-6.5", "uemu1:7"], "step 0: task 7 (there is none)"),
        (["lost-read", "--policy", "linux-6.5", "uemu1:" + "0" * 99], "cannot run; who can: "),
        (
            ["lost-read", "--policy", "linux-6.5", "uemu1:0", "--json", "/proc/none/x"],
            "cannot write /proc/none/x: No such file",
        ),
        (["lost-read", "--policy", "linux-6.5", "uemu1:7", "--live"], "step 0: task 7"),
    ],
)
def test_what_cannot_be_is_refused(uemu: Uemu, argv: list[str], error: str) -> None:
    done = uemu("replay", *argv)
    assert (done.status, done.out) == (2, "")
    last = done.err[done.err.index("uemu: error: ") :]
    assert error in last
