"""``uemu replay``: a schedule, drawn again, or refused."""

from __future__ import annotations

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
            ["lost-read", "--policy", "linux-6.5", "uemu1:0", "--live"],
            "--live is not in this version of uemu",
        ),
    ],
)
def test_what_cannot_be_is_refused(uemu: Uemu, argv: list[str], error: str) -> None:
    done = uemu("replay", *argv)
    assert (done.status, done.out) == (2, "")
    last = done.err[done.err.index("uemu: error: ") :]
    assert error in last
