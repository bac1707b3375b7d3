"""``uemu explore``: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from tests.cli.conftest import Done, Uemu
from uemu.cli import explore as command
from uemu.cli.main import make_parser
from uemu.cli.output import progress_bar
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
    assert re.fullmatch(
        r"\d+ schedules and \d+ redundant in \d+\.\d s: exhaustive, under sequential consistency",
        lines[1],
    )
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
    assert re.fullmatch(r"3 schedules in .* s: bounded, no proof", done.out.splitlines()[1])


def test_without_reduction_there_are_more_schedules_and_none_is_redundant(uemu: Uemu) -> None:
    done = uemu(*SOUND, "--no-reduction", "--max-schedules", "300")
    assert re.fullmatch(r"300 schedules in .* s: bounded, no proof", done.out.splitlines()[1])


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
    (drawing,) = result.pop("drawings")
    assert set(verdicts) == {"lost-dma-write", "dma-write-seen-by-other"}
    assert all(isinstance(result.pop(count), int) for count in ("schedules", "redundant", "jobs"))
    assert 0 < result.pop("seconds") < 600
    assert result == {
        "uemu": 1,
        "command": "explore",
        "scenario": "gup-fast-vs-fork",
        "policy": "arcangeli-2009-v2:norecheck",
        "memory_model": "sc",
        "scheduler": "dfs",
        "seed": None,
        "depth": None,
        "max_schedules": None,
        "max_preemptions": None,
        "reduction": True,
        "twice": 0,
        "ipi_waits_for_gup_fast": True,
        "complete": True,
        "exhaustive": True,
        "interrupted": False,
        "lost_workers": 0,
    }
    lost = verdicts["lost-dma-write"]
    assert set(lost) == {"kind", "schedule", "replay", "message", "story"}
    assert lost["replay"].split()[1:] == replay_line(done)
    assert lost["replay"].endswith(lost["schedule"])
    assert lost["story"][0]["event"] == "got"
    assert drawing["schedule"] == lost["schedule"]
    assert drawing["replay"] == lost["replay"]


def test_json_of_a_sound_policy_has_no_verdicts(uemu: Uemu, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    assert uemu(*SOUND, "--json", str(path)).status == 0
    result = json.loads(path.read_text())
    assert result["verdicts"] == result["drawings"] == []


def test_json_has_the_drawings_that_are_shown(uemu: Uemu, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    done = uemu(*RACY, "--all", "--json", str(path))
    result = json.loads(path.read_text())
    commands = re.findall(r"^replay:  (.*)$", done.out, re.MULTILINE)
    assert [drawing["replay"] for drawing in result["drawings"]] == commands
    assert [each["schedule"] for each in result["verdicts"]] == [
        drawing["schedule"] for drawing in result["drawings"]
    ]


def test_the_result_is_written_though_nobody_reads_the_output(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nobody(*args: object) -> None:
        raise BrokenPipeError

    path = tmp_path / "result.json"
    monkeypatch.setattr(command, "show_run", nobody)
    args = make_parser().parse_args([*RACY, "--json", str(path)])
    with pytest.raises(BrokenPipeError):
        command.run(args)
    assert json.loads(path.read_text())["drawings"]


@pytest.mark.parametrize(
    ("options", "claim", "reduction"),
    [
        (["--max-preemptions", "1"], "15 schedules in .* s: bounded, every schedule with at most"
         " 1 preemption, no proof", False),
        (["--scheduler", "random", "--seed", "4", "--max-schedules", "40"],
         "40 schedules drawn at random, seed 4, in .* s: no proof", False),
        (["--scheduler", "pct", "--depth", "2", "--max-schedules", "40"],
         "40 schedules drawn by PCT, depth 2, seed 0, in .* s: no proof", False),
        (["--twice"], "35 schedules and 2 redundant in .* s: exhaustive, .*", True),
        (["--jobs", "1"], "35 schedules and 2 redundant in .* s: exhaustive, .*", True),
    ],
)  # fmt: skip
def test_other_ways_to_search_find_the_loss_of_2009_and_say_what_they_are(
    uemu: Uemu, tmp_path: Path, options: list[str], claim: str, reduction: bool
) -> None:
    path = tmp_path / "result.json"
    done = uemu("explore", "gup-fast-vs-fork", *options, "--json", str(path))
    assert (done.status, done.err) == (1, "")
    assert re.fullmatch(claim, done.out.splitlines()[1])
    assert uemu(*replay_line(done)).status == 1
    result = json.loads(path.read_text())
    assert (result["reduction"], result["exhaustive"]) == (reduction, reduction)
    assert "lost-dma-write" in {each["kind"] for each in result["verdicts"]}


def test_the_same_seed_shows_the_same(uemu: Uemu) -> None:
    command = (*RACY, "--scheduler", "random", "--max-schedules", "60", "--seed")
    one, again, other = (_without_time(uemu(*command, seed)) for seed in ("1", "1", "2"))
    assert one == again != other


def _without_time(done: Done) -> str:
    return re.sub(r" in \S+ s:", "", done.out)


def test_pct_states_its_odds(uemu: Uemu) -> None:
    lines = uemu(*SOUND, "--scheduler", "pct", "--max-schedules", "30").out.splitlines()
    assert re.fullmatch(
        r"each shows a given violation of depth 3 with a probability of at least"
        r" 1/\(2\*(\d\d)\^2\) = 1/\d+",
        lines[2],
    )


def test_without_a_preemption_nothing_is_lost(uemu: Uemu) -> None:
    done = uemu("explore", "gup-fast-vs-fork", "--max-preemptions", "0")
    # Two orders of two tasks.
    assert re.fullmatch(
        "2 schedules in .* with at most 0 preemptions, .*", done.out.splitlines()[1]
    )


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
        (["lost-read", "--memory-model", "arm"], "invalid choice: 'arm' (choose from"),
        (["lost-read", "--scheduler", "bfs"], "invalid choice: 'bfs' (choose from"),
        (["lost-read", "--max-preemptions", "-1"], "'-1' is not a number from 0 on"),
        (["lost-read", "--seed", "2"], "--seed means nothing with --scheduler dfs: leave it out"),
        (["lost-read", "--depth", "2"], "or say --scheduler pct"),
        (
            ["lost-read", "--scheduler", "random", "--depth", "2"],
            "--depth means nothing with --scheduler random: leave it out, or say --scheduler pct",
        ),
        (
            ["lost-read", "--scheduler", "pct", "--max-preemptions", "2"],
            "--max-preemptions means nothing with --scheduler pct: leave it out",
        ),
        (
            ["lost-read", "--scheduler", "random", "--no-reduction"],
            "--no-reduction means nothing with --scheduler random: leave it out",
        ),
        (["--twice", "lost-read"], "argument --twice: 'lost-read' is not a number from 1 on"),
        (["lost-read", "--jobs", "0"], "argument --jobs: '0' is not a number from 1 on"),
        (["lost-read", "--jobs", "2", "--cluster", "tcp://x:1"], "--jobs and --cluster are two"),
        (["lost-read", "--json", "/proc/none/x"], "cannot write /proc/none/x: No such file"),
    ],
)
def test_what_cannot_be_is_refused(uemu: Uemu, argv: list[str], error: str) -> None:
    done = uemu("explore", *argv)
    assert (done.status, done.out) == (2, "")
    _, _, said = done.err.rpartition("uemu: error: ")
    assert error in " ".join(said.split())


def test_what_is_the_default_may_be_said(uemu: Uemu) -> None:
    done = uemu(*SOUND, "--memory-model", "sc", "--scheduler", "dfs", "--max-schedules", "1")
    assert done.status == 0


@pytest.mark.parametrize("variant", ["", ":nomb"])
def test_under_tso_the_locked_instructions_of_a_patch_are_fence_enough(
    uemu: Uemu, variant: str
) -> None:
    # Its smp_mb()s stand behind atomics, which on x86 are fences themselves.
    policy = f"arcangeli-2009-v2{variant}"
    done = uemu("explore", "gup-fast-vs-fork", "--policy", policy, "--memory-model", "tso")
    assert done.status == 0
    said = done.out.splitlines()[1]
    assert re.fullmatch(r"150 schedules and 11 redundant in .* s: exhaustive, under x86-TSO", said)


def test_what_is_found_under_tso_is_replayed_under_tso(uemu: Uemu) -> None:
    policy = "arcangeli-2009-v2:norecheck"
    done = uemu("explore", "gup-fast-vs-fork", "--policy", policy, "--memory-model", "tso")
    assert done.status == 1
    command = done.out.splitlines()[-1].removeprefix("replay:  uemu ").split()
    assert command[command.index("--memory-model") + 1] == "tso"
    again = uemu(*command)
    assert again.status == 1
    assert "lost-dma-write" in again.out


def test_an_interrupted_search_without_violation_ends_as_one_interrupted(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Exploration(schedules=9, interrupted=True)
    monkeypatch.setattr(command, "search_all", lambda *args, **options: found)
    done = uemu(*SOUND)
    assert done.status == 130
    assert re.fullmatch(r"9 schedules in .* s: interrupted, no proof", done.out.splitlines()[1])


@pytest.mark.parametrize(
    ("options", "completed"),
    [
        (["--no-reduction", "--max-schedules", "100"], 100),
        (["--scheduler", "random", "--max-schedules", "300"], 300),
        (["--no-reduction", "--max-schedules", "250"], 200),
    ],
)
def test_a_terminal_sees_how_far_it_is(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch, options: list[str], completed: int
) -> None:
    shown: list[Progress] = []

    def progress(console: Console) -> Progress:
        terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
        shown.append(progress_bar(terminal))
        return shown[0]

    monkeypatch.setattr(command, "progress_bar", progress)
    assert uemu(*SOUND, *options, "--jobs", "1").status == 0
    (line,) = shown[0].tasks
    assert re.fullmatch(
        r"gup-fast-vs-fork under arcangeli-2009-v2: \d+ schedules", line.description
    )
    assert line.completed == completed
    assert "gup-fast-vs-fork" in shown[0].console.file.getvalue()  # type: ignore[attr-defined]


def test_who_interrupts_the_shrinking_sees_the_run_that_was_found(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "shrink", interrupted)
    done = uemu(*RACY)
    assert done.status == 1
    assert uemu(*replay_line(done)).status == 1
