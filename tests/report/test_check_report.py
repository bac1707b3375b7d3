"""From which kernel on a program is safe, and what may be said of what was not tested."""

from __future__ import annotations

import pytest

from tests.report.program_runs import LOST, SEEN, made_result
from uemu.oracle.violations import Violation
from uemu.policy.registry import KERNELS, summary_of
from uemu.report.check_report import (
    Checked,
    check_json,
    check_lines,
    conclusion,
    first_safe,
    verdict_at,
)
from uemu.report.repeat_report import Tally


def checked(policy: str, *violations: Violation, over_fork: int = 2, runs: int = 1) -> Checked:
    """What equal runs under a policy gave."""
    tally, result = Tally(), made_result(*violations, over_fork=over_fork)
    for seed in range(runs):
        tally.add(result, seed)
    return Checked(policy, None, tally, result if violations else None, f"again {policy}")


def lost(policy: str) -> Checked:
    """One that loses a read."""
    return checked(policy, LOST)


def test_it_is_safe_from_the_first_of_those_on_that_are_all_safe() -> None:
    found = [
        checked("linux-2.6.7"),
        lost("linux-2.6.29"),
        checked("linux-5.8"),
        lost("linux-5.19"),
        checked("linux-6.5"),
    ]
    assert first_safe(found) == found[-1]
    assert conclusion(found) == (
        "safe from 6.5 on: linux-5.19 before it shows lost-dma-write",
        f"why: linux-6.5: {summary_of('linux-6.5')}",
    )


def test_a_proposal_is_never_where_safety_begins() -> None:
    found = [lost("linux-5.19"), checked("hildenbrand-2021-model1"), checked("linux-6.5")]
    assert first_safe(found) == found[-1]
    assert conclusion(found[1:2])[0] == "safe under hildenbrand-2021-model1"


def test_what_was_not_tested_is_not_safe() -> None:
    untested = checked("linux-6.5", over_fork=0)
    assert untested.verdict == "untested"
    found = [checked("linux-5.19"), untested]
    assert first_safe(found) is None
    assert conclusion(found)[0].endswith("linux-6.5 was not tested")
    found = [checked("linux-5.19", over_fork=0), checked("linux-6.5")]
    assert conclusion(found)[0] == "safe from 6.5 on: linux-5.19 before it was not tested"


def test_if_the_newest_is_not_safe_none_is() -> None:
    found = [checked("linux-5.19"), lost("linux-6.5")]
    assert first_safe(found) is None
    assert conclusion(found)[0] == (
        "safe from no kernel on: linux-6.5, the newest of them, shows lost-dma-write"
    )


def test_where_nothing_is_violated_it_says_how_much_was_tested() -> None:
    found = [checked("linux-5.19"), checked("linux-6.5")]
    assert conclusion(found) == (
        "safe from 5.19 on: under none of them was anything violated",
        "why: 2 of 3 transfers overlapped a fork, none was harmed under linux-5.19 or later",
    )


def test_the_table_counts_runs_and_ends_with_the_way_back() -> None:
    proposal = Checked("torvalds-2009-fork-lock", "fork waits for I/O")
    found = [
        lost("linux-2.6.29"),
        checked("linux-5.19", LOST, SEEN, runs=3),
        proposal,
        checked("linux-6.5"),
    ]
    lines = check_lines(found)
    assert all(len(line) <= 99 for line in lines)
    rows = [line for line in lines if line.startswith("uemu: linux-")]
    assert [line.split()[1:3] for line in rows] == [
        ["linux-2.6.29", "VIOLATED"],
        ["linux-5.19", "VIOLATED"],
        ["linux-6.5", "safe"],
    ]
    assert "lost-dma-write in 3 of 3" in " ".join(lines)
    assert "uemu: not run: torvalds-2009-fork-lock: fork waits for I/O" in lines
    assert lines[-1] == "uemu: replay:  again linux-5.19"
    assert "replay" not in "".join(check_lines([checked("linux-6.5")]))


@pytest.mark.parametrize("policy", KERNELS)
def test_both_lines_of_the_conclusion_are_lines(policy: str) -> None:
    """For each kernel that could be the first."""
    before = [lost("linux-2.6.7")] if policy != "linux-2.6.7" else []
    for line in conclusion([*before, checked(policy)]):
        assert len(f"uemu: {line}") <= 99


def test_the_verdict_is_found_in_its_column() -> None:
    lines = check_lines([lost("linux-5.19"), checked("linux-6.5"), checked("x", over_fork=0)])
    found = {line.split()[1]: verdict_at(line)[0] for line in lines if len(line.split()) > 1}
    assert {name: found[name] for name in ("linux-5.19", "linux-6.5", "x")} == {
        "linux-5.19": "VIOLATED",
        "linux-6.5": "safe",
        "x": "untested",
    }
    assert found["why:"] == found["safe"] == found["policy"] == ""


def test_json_has_the_first_safe_kernel_and_each_verdict() -> None:
    found = [
        lost("linux-5.19"),
        Checked("torvalds-2009-fork-lock", "fork waits"),
        checked("linux-6.5"),
    ]
    content = check_json(found, ["./x"])
    assert (content["command"], content["first_safe"]) == ("check", "linux-6.5")
    assert content["why"] == list(conclusion(found))
    first, second, third = content["policies"]
    assert (first["verdict"], first["kernel"], first["kinds"]) == (
        "violated",
        "5.19",
        {"lost-dma-write": 1},
    )
    assert [each["kind"] for each in first["violations"]] == ["lost-dma-write"]
    assert first["replay"] == "again linux-5.19"
    assert (second["verdict"], second["kernel"], second["reason"]) == (
        "cannot be",
        None,
        "fork waits",
    )
    assert (third["verdict"], third["violations"]) == ("safe", [])
