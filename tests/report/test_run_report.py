"""What a run of a program reads like, for people and for programs."""

from __future__ import annotations

import json
import signal

import pytest

from tests.report.program_runs import LOST, SEEN, made_result
from uemu.oracle.fitting import fitting
from uemu.oracle.violations import StoryLine, Violation
from uemu.report.run_report import (
    NOT_DETERMINISTIC,
    exit_status,
    failure_json,
    run_json,
    run_lines,
    signal_name,
    wrapped,
)
from uemu.report.story import WIDTH

REPLAY = "uemu run --policy linux-2.6.29 -- ./dma_thread"


def test_a_clean_run_says_what_it_covered() -> None:
    assert run_lines(made_result(), "linux-6.5", replay=REPLAY) == [
        "uemu: no violation under linux-6.5",
        "uemu: 3 transfers, 2 overlapped a fork, 1 saw a later write to their pages",
    ]


@pytest.mark.parametrize(
    ("transfers", "covered", "why"),
    [
        (0, "0 transfers, 0 overlapped", "there was no direct I/O"),
        (1, "1 transfer, 0 overlapped", "no fork met a transfer"),
        (9, "9 transfers, 0 overlapped", "no fork met a transfer"),
    ],
)
def test_a_run_that_tested_nothing_says_so(transfers: int, covered: str, why: str) -> None:
    result = made_result(transfers=transfers, over_fork=0)
    _, coverage, nothing = run_lines(result, "linux-6.5", replay=REPLAY)
    assert coverage.startswith(f"uemu: {covered}")
    assert nothing == f"uemu: nothing was tested: {why}"


def test_a_violation_is_told_and_the_last_line_runs_it_again() -> None:
    lines = run_lines(made_result(SEEN, LOST), "linux-2.6.29", replay=REPLAY)
    assert lines == [
        "uemu: lost-dma-write: process 4711 does not see it, 512 bytes at 0x1e00",
        "uemu: dma-write-seen-by-other: process 4712 sees it, 512 bytes at 0x1e00",
        "uemu:   1. process 4711: o_direct gets pfn 0 [t1]",
        "uemu:   2. process 4711: fork makes process 4712 [t2]",
        "uemu:   3. the device: writes 512 bytes into pfn 0",
        "uemu:   remedy: uemu explain lost-dma-write",
        "uemu:   remedy: uemu explain dma-write-seen-by-other",
        "uemu:",
        "uemu: 3 transfers, 2 overlapped a fork, 1 saw a later write to their pages",
        "uemu: lost-dma-write, dma-write-seen-by-other under linux-2.6.29",
        *wrapped(NOT_DETERMINISTIC),
        f"uemu: replay:  {REPLAY}",
    ]


def test_a_violation_without_a_fork_in_flight_was_no_test_of_nothing() -> None:
    lines = run_lines(made_result(LOST, over_fork=0), "linux-6.5", replay=REPLAY)
    assert not [line for line in lines if "nothing was tested" in line]


def test_no_line_is_too_wide_but_the_one_to_paste() -> None:
    long = Violation(
        "lost-store", 0, 0x1000, 1, None, "m " * 99, (StoryLine("x", 0, "t", 0, "s " * 99),)
    )
    lines = run_lines(made_result(long), "linux-6.5", replay="uemu run " + "x" * 200)
    assert all(line.startswith("uemu:") for line in lines)
    assert max(map(len, lines[:-1])) <= WIDTH


def test_the_signal_that_ended_the_program_is_named() -> None:
    died = made_result(status=None, signal=signal.SIGSEGV)
    assert run_lines(died, "linux-6.5", replay=REPLAY)[0] == (
        "uemu: the program was ended by SIGSEGV"
    )
    assert signal_name(41) == "signal 41"


def test_the_exit_status_is_that_of_a_shell() -> None:
    assert exit_status(made_result(status=7)) == 7
    assert exit_status(made_result(status=None, signal=signal.SIGKILL)) == 137


# For programs


def test_json_has_the_keys_of_the_interface() -> None:
    result = made_result(LOST, status=7, notes=("io_uring is not emulated",))
    content = run_json(result, "linux-2.6.29", ["./dma_thread", "-a", "512"])
    assert json.loads(json.dumps(content)) == {
        "uemu": 1,
        "command": "run",
        "policy": "linux-2.6.29",
        "program": ["./dma_thread", "-a", "512"],
        "exit": {"status": 7},
        "violations": [
            {
                "kind": "lost-dma-write",
                "address": 0x1E00,
                "length": 512,
                "pid": 4711,
                "tid": 4711,
                "pfn": 0,
                "message": "process 4711 does not see it",
                "story": [
                    {
                        "event": "got",
                        "pid": 4711,
                        "tid": 4711,
                        "address": 0x1E00,
                        "text": "process 4711: o_direct gets pfn 0",
                        "stack": [],
                    },
                    {
                        "event": "forked",
                        "pid": 4711,
                        "tid": 4713,
                        "address": None,
                        "text": "process 4711: fork makes process 4712",
                        "stack": [],
                    },
                    {
                        "event": "device-wrote",
                        "pid": None,
                        "tid": None,
                        "address": None,
                        "text": "the device: writes 512 bytes into pfn 0",
                        "stack": [],
                    },
                ],
                "buffer": None,
                "remedies": [fit._asdict() for fit in fitting(LOST)],
            }
        ],
        "groups": [{"kinds": ["lost-dma-write"], "count": 1, "violations": [0]}],
        "suppressed": {},
        "stats": {
            "forks": 1,
            "transfers": 3,
            "transfers_over_fork": 2,
            "transfers_written_after": 1,
            "cow_copies": 0,
            "fork_copies": 0,
            "pages_framed": 0,
            "faults": 0,
        },
        "notes": ["io_uring is not emulated"],
    }


def test_json_of_a_signal_of_a_violation_without_story_and_of_a_failure() -> None:
    silent = Violation("deadlock", 0, 0, 0, None, "waits for ever", ())
    content = run_json(made_result(silent, status=None, signal=11), "linux-6.5", ["x"])
    assert content["exit"] == {"signal": 11}
    assert (content["violations"][0]["tid"], content["violations"][0]["story"]) == (None, [])
    assert failure_json("x: not found", "linux-6.5", ["x"]) == {
        "uemu": 1,
        "command": "run",
        "policy": "linux-6.5",
        "program": ["x"],
        "exit": None,
        "error": "x: not found",
    }
