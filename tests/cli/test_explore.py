"""``uemu explore``: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Done, Uemu
from uemu.cli import explore as command
from uemu.cli.explore import coverage
from uemu.explore import Exploration

RACY = ("explore", "gup-fast-vs-fork", "--policy", "arcangeli-2009-v2:norecheck")
SOUND = ("explore", "gup-fast-vs-fork", "--policy", "arcangeli-2009-v2")


def replay_line(done: Done) -> list[str]:
    """The command in the last line, as words."""
    last = done.out.splitlines()[-1]
    assert last.startswith("replay:  uemu replay ")
    return last.split()[2:]


def test_finds_the_race_draws_it_and_ends_with_the_way_back(uemu: Uemu) -> None:
    done = uemu(*RACY)
    assert (done.status, done.err) == (1, "")
    lines = done.out.splitlines()
    assert lines[0] == (
        "gup-fast-vs-fork under arcangeli-2009-v2:norecheck:"
        " lost-dma-write, dma-write-seen-by-other"
    )
    assert lines[1].endswith(": exhaustive, under sequential consistency")
    assert done.out.count("\nRace: gup-fast-vs-fork uemu1:") == 1
    assert "\n  1. parent: o_direct gets pfn 0 [io]\n" in done.out
    assert lines[-2].endswith(" under arcangeli-2009-v2:norecheck in gup-fast-vs-fork")


def test_the_printed_command_shows_the_same_drawing(uemu: Uemu) -> None:
    explored = uemu(*RACY)
    replayed = uemu(*replay_line(explored))
    assert replayed.status == 1
    assert explored.out.endswith(replayed.out)


def test_all_draws_each_violation_on_its_own(uemu: Uemu) -> None:
    done = uemu(*RACY, "--all")
    assert done.status == 1
    assert done.out.count("\nRace: ") == done.out.count("\nreplay:  ") == 2


def test_a_sound_policy_has_no_violation_and_no_way_back(uemu: Uemu) -> None:
    done = uemu(*SOUND)
    assert (done.status, done.err) == (0, "")
    first, second = done.out.splitlines()
    assert first == "gup-fast-vs-fork under arcangeli-2009-v2: no violation"
    assert "exhaustive" in second


def test_without_the_wait_for_gup_fast_the_recheck_is_not_enough(uemu: Uemu) -> None:
    done = uemu(*SOUND, "--no-ipi-wait")
    assert done.status == 1
    words = replay_line(done)
    assert "--no-ipi-wait" in words
    assert "lost-dma-write" in uemu(*words).out
    words.remove("--no-ipi-wait")
    assert uemu(*words).status in (0, 2)


def test_a_bound_is_no_proof(uemu: Uemu) -> None:
    done = uemu(*SOUND, "--max-schedules", "3")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[1] == "3 schedules, bounded: no proof"


def test_without_reduction_there_are_more_schedules_and_none_is_redundant(uemu: Uemu) -> None:
    done = uemu(*SOUND, "--no-reduction", "--max-schedules", "300")
    assert done.out.splitlines()[1] == "300 schedules, bounded: no proof"


def test_the_policy_is_the_baseline_unless_said(uemu: Uemu) -> None:
    done = uemu("explore", "lost-read-no-child-write")
    assert done.status == 1
    assert done.out.startswith("lost-read-no-child-write under linux-2.6.29: lost-dma-write")


def test_json_has_the_result_and_the_stories(uemu: Uemu, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    done = uemu(*RACY, "--json", str(path))
    assert done.status == 1
    result = json.loads(path.read_text())
    verdicts = {each["kind"]: each for each in result.pop("verdicts")}
    assert set(verdicts) == {"lost-dma-write", "dma-write-seen-by-other"}
    assert all(isinstance(result.pop(count), int) for count in ("schedules", "redundant"))
    assert result == {
        "uemu": 1,
        "command": "explore",
        "scenario": "gup-fast-vs-fork",
        "policy": "arcangeli-2009-v2:norecheck",
        "memory_model": "sc",
        "reduction": True,
        "ipi_waits_for_gup_fast": True,
        "exhaustive": True,
        "interrupted": False,
    }
    lost = verdicts["lost-dma-write"]
    assert set(lost) == {"kind", "schedule", "replay", "message", "story"}
    assert lost["replay"].split()[1:] == replay_line(done)
    assert lost["replay"].endswith(lost["schedule"])
    assert lost["story"][0]["event"] == "got"


def test_json_of_a_sound_policy_has_no_verdicts(uemu: Uemu, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    assert uemu(*SOUND, "--json", str(path)).status == 0
    assert json.loads(path.read_text())["verdicts"] == []


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["lost-raed"], "unknown scenario 'lost-raed'; nearest: lost-read"),
        (
            ["lost-read", "--policy", "linux-2.6.28"],
            "unknown policy 'linux-2.6.28'; nearest: linux-2.6.29",
        ),
        (
            ["lost-read", "--policy", "linux-6.5:norecheck"],
            "linux-6.5 has no variant 'norecheck'; it has: none",
        ),
        (["lost-read", "--max-schedules", "0"], "argument --max-schedules: '0' is not a number"),
        (["lost-read", "--memory-model", "tso"], "'tso' is not in this version of uemu"),
        (["lost-read", "--memory-model", "arm"], "'arm' is unknown; there is 'sc'"),
        (["lost-read", "--scheduler", "pct"], "'pct' is not in this version of uemu"),
        (["lost-read", "--max-preemptions", "2"], "--max-preemptions is not in this version"),
        (["lost-read", "--seed", "2"], "--seed is not in this version of uemu"),
        (["lost-read", "--jobs", "2"], "--jobs is not in this version of uemu"),
        (["lost-read", "--json", "/proc/none/x"], "cannot write /proc/none/x: No such file"),
    ],
)
def test_what_cannot_be_is_refused(uemu: Uemu, argv: list[str], error: str) -> None:
    done = uemu("explore", *argv)
    assert (done.status, done.out) == (2, "")
    _, _, said = done.err.rpartition("uemu: error: ")
    assert error in said


def test_what_is_the_default_may_be_said(uemu: Uemu) -> None:
    done = uemu(*SOUND, "--memory-model", "sc", "--scheduler", "dfs", "--max-schedules", "1")
    assert done.status == 0


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Exploration(schedules=1), "1 schedule, bounded: no proof"),
        (Exploration(schedules=9, interrupted=True), "9 schedules, interrupted: no proof"),
        (
            Exploration(schedules=9, redundant=2, exhaustive=True),
            "9 schedules and 2 redundant: exhaustive, under sequential consistency",
        ),
    ],
)
def test_says_what_was_covered(found: Exploration, text: str) -> None:
    assert coverage(found) == text


def test_an_interrupted_search_without_violation_ends_as_one_interrupted(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Exploration(schedules=9, interrupted=True)
    monkeypatch.setattr(command, "search", lambda *args, **options: found)
    done = uemu(*SOUND)
    assert done.status == 130
    assert done.out.splitlines()[1] == "9 schedules, interrupted: no proof"


def test_who_interrupts_the_shrinking_sees_the_run_that_was_found(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "shrink", interrupted)
    done = uemu(*RACY)
    assert done.status == 1
    assert uemu(*replay_line(done)).status == 1
