"""``uemu run --repeat``, and Ctrl-C."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from tests.cli.conftest import Uemu
from tests.cli.made_engine import MadeEngine
from tests.report.program_runs import LOST, SEEN, made_result
from uemu.policy.registry import NEWEST


def test_repeat_counts_and_tells_each_kind_once(
    uemu: Uemu, engine: MadeEngine, tmp_path: Path
) -> None:
    engine.results = [
        made_result(),
        made_result(LOST, status=1),
        made_result(LOST),
        made_result(LOST, SEEN, status=1),
        made_result(status=4),
    ]
    path = tmp_path / "run.json"
    done = uemu("run", "--repeat", "5", "--seed", "10", "--json", str(path), "sh")
    assert [options.seed for _, _, options in engine.asked] == [10, 11, 12, 13, 14]
    assert done.status == 4, "of the last run"
    lines = done.err.splitlines()
    assert [line for line in lines if line.startswith("uemu: run ")] == [
        "uemu: run 2, seed 11:",
        "uemu: run 4, seed 13:",
    ]
    assert [line.split("--seed ")[1][:2] for line in lines if "replay:" in line] == ["11", "13"]
    assert lines[-5:] == [
        f"uemu: 5 runs under {NEWEST}, 3 with a violation",
        "uemu:   lost-dma-write in 3, dma-write-seen-by-other in 1",
        "uemu:   with the seeds 11, 12, 13",
        "uemu:   exit status 0 in 2, 1 in 2, 4 in 1",
        "uemu: 15 transfers, 10 overlapped a fork, 5 saw a later write to their pages",
    ]
    content = json.loads(path.read_text())
    assert (content["exit"], content["violations"]) == ({"status": 4}, [])
    assert content["repeat"] == {
        "runs": 5,
        "violating": 3,
        "seeds": [11, 12, 13],
        "kinds": {"lost-dma-write": 3, "dma-write-seen-by-other": 1},
        "suppressed": {},
        "exits": {"0": 2, "1": 2, "4": 1},
    }


def test_error_exitcode_is_for_a_violation_in_any_run(uemu: Uemu, engine: MadeEngine) -> None:
    engine.results = [made_result(LOST), made_result()]
    assert uemu("run", "--repeat", "2", "--error-exitcode", "99", "sh").status == 99


def test_quiet_repeats_say_nothing_if_all_is_well(uemu: Uemu, engine: MadeEngine) -> None:
    assert uemu("run", "-q", "--repeat", "3", "sh") == (0, "", "")


# Ctrl-C


def test_an_interrupt_is_the_programs_and_the_report_comes(uemu: Uemu, engine: MadeEngine) -> None:
    engine.results = [made_result(status=None, signal=signal.SIGINT)]
    engine.meanwhile = lambda: signal.raise_signal(signal.SIGINT)
    done = uemu("run", "sh")
    assert done.status == 130
    assert done.err.startswith("uemu: the program was ended by SIGINT\n")
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_an_interrupted_run_is_the_last(uemu: Uemu, engine: MadeEngine) -> None:
    engine.meanwhile = lambda: signal.raise_signal(signal.SIGINT)
    done = uemu("run", "--repeat", "5", "sh")
    assert (done.status, len(engine.asked)) == (0, 1)
    assert "uemu: 1 run under" in done.err
