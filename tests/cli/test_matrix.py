"""``uemu matrix``: what it prints, what it writes, when it fails."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from tests.cli.conftest import Uemu
from tests.cli.test_workers import DEADLINE_S, MAIN, members, wait_until
from tests.report.html import page_reader
from uemu.cli import matrix as command
from uemu.cli.main import make_parser
from uemu.cli.output import progress_bar
from uemu.errors import HostError
from uemu.expected.cell import Expected
from uemu.matrix import run
from uemu.matrix.cells import CellName, How
from uemu.matrix.costs import Costs
from uemu.matrix.result import Cell, Live
from uemu.policy.registry import POLICIES, all_names
from uemu.scenario.registry import SCENARIOS

SMALL = (
    *("matrix", "--scenario", "lost-read", "--scenario", "gup-fast-vs-fork", "--jobs", "1"),
    *("--policy", "linux-2.6.29", "--policy", "linux-6.5"),
)


@pytest.mark.slow
@pytest.mark.once
def test_every_scenario_under_every_policy_is_as_expected_in_a_table_that_fits(
    uemu: Uemu, tmp_path: Path
) -> None:
    path = tmp_path / "matrix.html"
    done = uemu("matrix", "--html", str(path))
    assert (done.status, done.err) == (0, "")
    rows = [line.split()[0] for line in done.out.splitlines() if line]
    assert all(rows.count(scenario) >= 1 for scenario in SCENARIOS)
    assert f"\n{len(SCENARIOS) * len(POLICIES)} cells in " in done.out
    assert done.out.rstrip().endswith("none differ from what is expected")
    assert path.stat().st_size < 4_000_000
    cells = page_reader.matrix(page_reader.read(path.read_text()))
    assert set(cells) == {(policy, scenario) for policy in POLICIES for scenario in SCENARIOS}
    # Whatever is violated has its drawing, and nothing else has one.
    assert all((cell.drawing is not None) == cell.signs.isalpha() for cell in cells.values())


def test_rows_columns_and_what_the_signs_mean(uemu: Uemu) -> None:
    done = uemu(*SMALL)
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[:-1] == [
        " 1 linux-2.6.29   2 linux-6.5",
        "",
        "                  1  2",
        "lost-read         LS -",
        "gup-fast-vs-fork  LS -",
        "",
        "L lost-dma-write  S dma-write-seen-by-other  - nothing is violated",
        "",
    ]
    assert re.fullmatch(
        r"4 cells in \d\.\d s: 4 run; 0 not applicable; none differ from what is expected",
        lines[-1],
    )


def test_one_cell_is_one(uemu: Uemu) -> None:
    done = uemu("matrix", "--policy", "linux-6.5", "--scenario", "lost-read")
    assert done.out.splitlines()[-1].startswith("1 cell in ")


def test_a_variant_is_a_column_of_its_own_and_other_orders_are_small_letters(uemu: Uemu) -> None:
    done = uemu(
        *("matrix", "--explore", "--scenario", "gup-fast-vs-fork"),
        *("--policy", "arcangeli-2009-v2", "--policy", "arcangeli-2009-v2:norecheck"),
    )
    assert (done.status, done.err) == (0, "")
    assert "\ngup-fast-vs-fork  -  ls\n" in done.out
    assert "a small letter: in other orders than the canonical one" in done.out
    assert re.search(r"2 exhaustive; 90 schedules; none differ", " ".join(done.out.split()))


def test_variants_of_all_policies_have_columns_too(uemu: Uemu, tmp_path: Path) -> None:
    path = tmp_path / "matrix.json"
    done = uemu("matrix", "--variants", "--scenario", "lost-read", "--json", str(path))
    assert done.status == 0
    names = [cell["policy"] for cell in json.loads(path.read_text())["cells"]]
    assert names == all_names()
    assert any(":" in name for name in names)
    assert max(map(len, done.out.splitlines())) <= 100


def test_a_bound_on_schedules_shows(uemu: Uemu) -> None:
    done = uemu(*SMALL, "--explore", "--max-schedules", "2")
    assert done.status == 0
    assert "\ngup-fast-vs-fork  LS~ -~\n" in done.out
    assert "~ not every order was run" in done.out


def test_json_has_a_cell_for_each(uemu: Uemu, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    assert uemu(*SMALL, "--json", str(path)).status == 0
    result = json.loads(path.read_text())
    cells = result.pop("cells")
    assert 0 < result.pop("seconds") < 60
    assert result == {"uemu": 1, "command": "matrix", "interrupted": False, "disagreements": []}
    assert [(each["scenario"], each["policy"]) for each in cells] == [
        (scenario, policy)
        for scenario in ("lost-read", "gup-fast-vs-fork")
        for policy in ("linux-2.6.29", "linux-6.5")
    ]
    costs = cells[0].pop("costs")
    assert set(costs) == set(Costs().as_json())
    assert costs["cow_copies"] == 1
    kinds = ["lost-dma-write", "dma-write-seen-by-other"]
    schedule = cells[0].pop("schedule")
    assert cells[0] == {
        "policy": "linux-2.6.29",
        "scenario": "lost-read",
        "status": "run",
        "reason": None,
        "verdicts": kinds,
        "expected": kinds,
        "schedules": 1,
        "exhaustive": False,
        "live": None,
    }
    again = uemu("replay", "lost-read", "--policy", "linux-2.6.29", schedule)
    assert again.status == 1
    assert cells[1]["schedule"] is None


def test_json_is_written_though_nobody_reads_the_output(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nobody(*args: object) -> None:
        raise BrokenPipeError

    path = tmp_path / "result.json"
    monkeypatch.setattr(command, "print_table", nobody)
    args = make_parser().parse_args([*SMALL, "--json", str(path)])
    with pytest.raises(BrokenPipeError):
        command.run(args)
    assert len(json.loads(path.read_text())["cells"]) == 4


def test_the_page_tells_what_the_result_for_programs_tells(uemu: Uemu, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("result.json", "result.html", "replay.json")]
    assert uemu(*SMALL, "--json", str(paths[0]), "--html", str(paths[1])).status == 0
    shown = page_reader.matrix(page_reader.read(paths[1].read_text()))
    cells = json.loads(paths[0].read_text())["cells"]
    assert set(shown) == {(each["policy"], each["scenario"]) for each in cells}
    for cell in cells:
        policy, scenario = cell["policy"], cell["scenario"]
        there = shown[policy, scenario]
        assert there.words == (", ".join(cell["verdicts"]) or "no violation")
        assert there.body is not None
        assert (there.drawing is None) == (cell["schedule"] is None)
        if there.drawing is None:
            continue
        assert f"uemu replay {scenario} --policy {policy} {cell['schedule']}" in there.body.text
        uemu("replay", scenario, "--policy", policy, cell["schedule"], "--json", str(paths[2]))
        (drawing,) = json.loads(paths[2].read_text())["drawings"]
        keys = ("index", "cpu", "function", "note", "state")
        assert page_reader.told(there.drawing) == [
            tuple("".join(str(step[key]).split()) for key in keys) for step in drawing["steps"]
        ]


def test_the_page_shows_what_other_orders_alone_show(uemu: Uemu, tmp_path: Path) -> None:
    path = tmp_path / "result.html"
    policy = "arcangeli-2009-v2:norecheck"
    arguments = "--explore", "--scenario", "gup-fast-vs-fork", "--policy", policy
    assert uemu("matrix", *arguments, "--html", str(path)).status == 0
    cell = page_reader.matrix(page_reader.read(path.read_text()))[policy, "gup-fast-vs-fork"]
    assert cell.signs == "ls"
    assert cell.body is not None
    assert cell.drawing is not None
    assert "lost-dma-write: parent does not see what the device wrote" in cell.body.text
    assert re.search(r"Orders run\s+\d+, which stand for all there are", cell.body.text)


def test_the_page_tells_of_a_fork_that_waited_though_no_schedule_does(
    uemu: Uemu, tmp_path: Path
) -> None:
    paths = tmp_path / "result.json", tmp_path / "result.html"
    cell = "lost-read", "torvalds-2009-fork-lock"
    arguments = "--scenario", cell[0], "--policy", cell[1], "--json", str(paths[0])
    assert uemu("matrix", *arguments, "--html", str(paths[1])).status == 0
    (told,) = json.loads(paths[0].read_text())["cells"]
    assert (told["verdicts"], told["schedule"]) == (["fork-blocked"], None)
    there = page_reader.matrix(page_reader.read(paths[1].read_text()))[cell[1], cell[0]]
    assert there.body is not None
    assert there.body.one("ol").text.strip()
    assert there.drawing is not None


def test_the_page_says_what_real_processes_were_not_asked(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hidden = replace(SCENARIOS["lost-read"], not_live="it needs a stale TLB entry")
    monkeypatch.setitem(SCENARIOS, "lost-read", hidden)
    path = tmp_path / "result.html"
    arguments = "--scenario", "lost-read", "--policy", "linux-6.5", "--jobs", "1"
    assert uemu("matrix", "--live", *arguments, "--html", str(path)).status == 0
    cell = page_reader.matrix(page_reader.read(path.read_text()))["linux-6.5", "lost-read"]
    assert cell.body is not None
    assert "not run on them: it needs a stale TLB entry" in cell.body.text


def test_what_differs_is_told_with_the_reason_of_what_was_expected(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(scenario: str, policy: str) -> Expected:
        return Expected(frozenset({"lost-store"}), "a mail of 2009")

    monkeypatch.setattr(run, "find_expected", find)
    done = uemu("matrix", "--scenario", "lost-read", "--policy", "linux-6.5", "--jobs", "1")
    assert (done.status, done.err) == (1, "")
    assert "\nlost-read  -!\n" in done.out
    assert done.out.splitlines()[-2:] == [
        "lost-read under linux-6.5: no violation, not lost-store",
        "  expected: a mail of 2009",
    ]
    assert "1 differs from what is expected" in done.out


def test_costs_that_do_not_grow_by_the_page_are_told(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unruly(*args: object) -> None:
        raise ValueError("lost-read under linux-6.5: faults does not grow by the page: 1, 5, 7")

    monkeypatch.setattr(run, "growth", unruly)
    done = uemu("matrix", "--scenario", "lost-read", "--policy", "linux-6.5", "--jobs", "1")
    assert done.status == 1
    assert "\nlost-read under linux-6.5: faults does not grow by the page: 1, 5, 7\n" in done.out


# Real processes


@pytest.mark.needs_ptrace
def test_real_processes_show_the_same(uemu: Uemu, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    done = uemu(*SMALL, "--live", "--json", str(path))
    assert (done.status, done.err) == (0, "")
    assert "4 on real processes, 0 simulated only; 0 disagree" in " ".join(done.out.split())
    for cell in json.loads(path.read_text())["cells"]:
        assert cell["live"] == {"verdicts": cell["verdicts"]}


def test_a_disagreement_is_a_mistake_of_ours_and_told_on_stderr(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def differs(name: CellName, told: object) -> Live:
        return Live(frozenset(), "violations: ['lost-dma-write'] simulated, [] on real processes")

    monkeypatch.setattr(run, "_live", differs)
    path = tmp_path / "result.json"
    done = uemu(*SMALL, "--live", "--json", str(path))
    assert done.status == 70
    assert "\nlost-read         LS! -!\n" in done.out
    assert "4 disagree" in done.out
    assert done.err.startswith("uemu: error: real processes did something else than the model:")
    assert "  lost-read under linux-2.6.29: violations: ['lost-dma-write'] simulated" in done.err
    result = json.loads(path.read_text())
    assert result["disagreements"][0] == {
        "policy": "linux-2.6.29",
        "scenario": "lost-read",
        "differs": "violations: ['lost-dma-write'] simulated, [] on real processes",
    }
    assert len(result["disagreements"]) == 4
    assert result["cells"][0]["live"] == {"verdicts": []}


def test_a_machine_that_cannot_trace_is_said_so(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> HostError:
        return HostError("tracing", "EPERM", "Set kernel.yama.ptrace_scope to 1")

    monkeypatch.setattr("uemu.machine.machine.ptrace_error", refused)
    done = uemu(*SMALL, "--live")
    assert (done.status, done.out) == (3, "")
    assert done.err.startswith("uemu: error: tracing: EPERM")


# What is refused, and who interrupts


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["--policy", "linux-6.6"], "unknown policy 'linux-6.6'; nearest: linux-6.5"),
        (["--policy", "linux-6.5:x"], "linux-6.5 has no variant 'x'"),
        (["--scenario", "lost-raed"], "unknown scenario 'lost-raed'; nearest: lost-read"),
        (["--live", "--explore"], "argument --explore: not allowed with argument --live"),
        (["--max-schedules", "9"], "--max-schedules means nothing without --explore"),
        (["--html", "/proc/none/x"], "cannot write /proc/none/x: No such file"),
        (["--jobs", "2", "--cluster", "tcp://x:1"], "--jobs and --cluster are two answers"),
        (["--json", "{x}", "--html", "{x}"], "--json and --html are one file, "),
        (["--json", "/proc/none/x"], "cannot write /proc/none/x: No such file"),
    ],
)
def test_what_cannot_be_is_refused(uemu: Uemu, argv: list[str], error: str, tmp_path: Path) -> None:
    done = uemu("matrix", *(each.format(x=tmp_path / "x") for each in argv))
    assert (done.status, done.out) == (2, "")
    _, _, said = done.err.rpartition("uemu: error: ")
    assert error in " ".join(said.split())


def test_an_interrupted_pass_shows_what_there_is(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(
        names: list[CellName], how: How, report: Callable[[Cell], None], **options: object
    ) -> None:
        report(run.run_cell(names[0], how))
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_cells", interrupted)
    path = tmp_path / "result.json"
    done = uemu(*SMALL, "--json", str(path))
    assert (done.status, done.err) == (130, "")
    assert "\nlost-read         LS ?\n" in done.out
    assert "? was not run" in done.out
    assert "interrupted, 3 not run" in done.out
    result = json.loads(path.read_text())
    assert result["interrupted"]
    assert len(result["cells"]) == 1


def test_a_terminal_sees_how_far_it_is(uemu: Uemu, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Progress] = []

    def progress(console: Console) -> Progress:
        terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
        shown.append(progress_bar(terminal))
        return shown[0]

    monkeypatch.setattr(command, "progress_bar", progress)
    assert uemu(*SMALL).status == 0
    (line,) = shown[0].tasks
    assert (line.completed, line.total) == (4, 4)
    assert line.description == "4 of 4 cells: gup-fast-vs-fork under linux-6.5"


@pytest.mark.slow
@pytest.mark.parametrize(
    "way", ["--explore", pytest.param("--live", marks=pytest.mark.needs_ptrace)]
)
def test_two_processes_find_what_one_finds(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    monkeypatch.setattr(command, "HEAD_START_S", 0)
    found = []
    for jobs in ("1", "2"):
        path = tmp_path / f"{jobs}.json"
        assert uemu(*SMALL[:-2], way, "--jobs", jobs, "--json", str(path)).status == 0
        found.append(json.loads(path.read_text())["cells"])
    assert found[0] == found[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "way", ["--explore", pytest.param("--live", marks=pytest.mark.needs_ptrace)]
)
def test_ctrl_c_leaves_no_process(tmp_path: Path, way: str) -> None:
    path = tmp_path / "result.json"
    arguments = ["matrix", way, "--jobs", "2", "--json", str(path)]
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        wait_until(lambda: len(members(process.pid, "multiprocessing.spawn")) == 2)
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=DEADLINE_S)
        wait_until(lambda: not members(process.pid))
    assert process.returncode == 130, out
    assert "interrupted, " in out
    assert json.loads(path.read_text())["interrupted"]
