"""Real processes: they find the same, one may die, and none is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.mortal_world import Deadly
from uemu.cli.names import WorldMaker
from uemu.cli.parser import UsageError
from uemu.cli.workers import Processes, in_processes, make_workers, usable_cpus
from uemu.errors import HostError
from uemu.explore import Uniform, Workers, explore
from uemu.scenario.registry import find_scenario

DEADLINE_S = 60
MAIN = "import sys; from uemu.cli.main import main; sys.exit(main())"


def two(**changes: float) -> Workers:
    """Two processes that begin at once, and report often."""
    workers = in_processes(2)
    assert workers is not None
    return replace(workers, head_start_s=0, slice_s=0.05, **changes)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "policy", "options"),
    [
        ("lost-read-no-child-write", "linux-2.6.29", {}),
        ("gup-fast-vs-fork", "arcangeli-2009-v2:norecheck", {}),
        ("gup-fast-vs-fork", "linux-6.5", {}),
        ("ro-pin-then-fork", "linux-2.6.29", {"max_preemptions": 1}),
        ("gup-fast-vs-fork", "linux-2.6.29", {"sampler": Uniform(1), "max_schedules": 150}),
    ],
)
def test_two_processes_find_what_one_finds(
    scenario: str, policy: str, options: dict[str, object]
) -> None:
    maker = WorldMaker(find_scenario(scenario), policy)
    alone = explore(maker, **options)  # type: ignore[arg-type]
    found = explore(maker, workers=two(), **options)  # type: ignore[arg-type]
    assert set(found.verdicts) == set(alone.verdicts)
    assert (found.schedules, found.deepest) == (alone.schedules, alone.deepest)
    assert (found.complete, found.exhaustive) == (alone.complete, alone.exhaustive)
    assert found.deaths == 0


@pytest.mark.slow
def test_a_killed_worker_takes_nothing_along(tmp_path: Path) -> None:
    deadly = Deadly(tmp_path, os.getpid())
    found = explore(deadly, workers=two())
    # (4!)^2: see tests/explore/test_dpor.py.
    assert (found.schedules, found.exhaustive) == (576, True)
    assert deadly.was_deadly()
    assert found.deaths == 1
    assert_gone(deadly.pids())


@pytest.mark.slow
def test_workers_that_die_each_time_are_given_up(tmp_path: Path) -> None:
    deadly = Deadly(tmp_path, os.getpid(), at=1, always=True)
    with pytest.raises(HostError, match="5 of them died one after the other"):
        explore(deadly, workers=two())
    assert_gone(deadly.pids())


def test_a_machine_that_starts_no_processes_says_what_else_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: Processes) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(Processes, "_adjust_process_count", refuse)
    with pytest.raises(
        HostError, match=r"starting 2 processes: .*unavailable. --jobs 1 needs none"
    ):
        explore(WorldMaker(find_scenario("dontfork"), "linux-6.5"), workers=two())


def test_ctrl_c_does_not_reach_them() -> None:
    with Processes(1) as executor:
        assert executor.submit(_is_blocked).result()
        assert not _is_blocked()


def _is_blocked() -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def assert_gone(pids: list[int]) -> None:
    """Check that none of these processes exists, and that there were any."""
    assert pids
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


# The command itself, in a session of its own


@pytest.fixture
def command(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """An exploration that takes long, with two workers at work."""
    arguments = [
        *("explore", "two-readers-one-page", "--policy", "linux-6.5", "--jobs", "2"),
        *("--json", str(tmp_path / "result.json")),
    ]
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        wait_until(lambda: len(members(process.pid, "multiprocessing.spawn")) == 2)
        yield process
        if members(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def members(session: int, having: str = "") -> list[int]:
    """The processes of a session that are no zombies, by what is in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            words = (entry / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z" and having in words:
            found.append(int(entry.name))
    return found


def wait_until(condition: object) -> None:
    """Look until it holds, or a minute has gone by."""
    assert callable(condition)
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.01)


@pytest.mark.slow
def test_ctrl_c_shows_what_there_is_and_leaves_no_process(
    command: subprocess.Popen[str], tmp_path: Path
) -> None:
    os.killpg(command.pid, signal.SIGINT)
    out, _ = command.communicate(timeout=DEADLINE_S)
    assert command.returncode == 130, out
    lines = out.splitlines()
    assert lines[0] == "two-readers-one-page under linux-6.5: no violation"
    assert re.fullmatch(r"\d+ schedules.* in \d.* s: interrupted, no proof", lines[1])
    assert len(lines) == 2
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["interrupted"], result["exhaustive"], result["jobs"]) == (True, False, 2)
    assert result["schedules"] > 0
    wait_until(lambda: not members(command.pid))


@pytest.mark.slow
def test_who_is_killed_leaves_no_process(command: subprocess.Popen[str]) -> None:
    command.kill()
    command.wait(DEADLINE_S)
    wait_until(lambda: not members(command.pid))


# What is typed


def asked(jobs: int | None = None, cluster: str | None = None) -> Namespace:
    return Namespace(jobs=jobs, cluster=cluster)


def test_one_job_is_this_process_and_more_are_so_many() -> None:
    assert make_workers(asked(jobs=1)) is None
    three = make_workers(asked(jobs=3))
    assert three is not None
    assert three.number == 3


def test_unless_said_there_are_as_many_as_cpus() -> None:
    workers = make_workers(asked())
    cpus = usable_cpus()
    assert cpus == len(os.sched_getaffinity(0))
    assert (1 if workers is None else workers.number) == cpus


def test_jobs_and_cluster_are_refused_together() -> None:
    with pytest.raises(UsageError, match="two answers to one question"):
        make_workers(asked(jobs=2, cluster="tcp://127.0.0.1:1"))
