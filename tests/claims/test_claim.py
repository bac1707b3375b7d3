"""A verdict follows from the answers: all cases, with answers made up here."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from uemu.claims.claim import CONFIRMED, REFUTED, UNDECIDABLE, Claim, Verdict, decide, reading
from uemu.claims.question import Answer, Swap
from uemu.claims.source import torvalds
from uemu.claims.where import Where


@dataclass(frozen=True)
class Made:
    """A question whose answer is known."""

    name: str
    holds: bool
    schedule: str | None = None
    exhaustive: bool = True

    def ask(self) -> Answer:
        """The answer."""
        where = Where("lost-read", "linux-2.6.29")
        return Answer(self.holds, self.name, where, 10, self.exhaustive, self.schedule)

    def instead(self, other: Swap) -> Made:
        """The same question about something else."""
        return Made(other(self.name), self.holds, self.schedule, self.exhaustive)


def decided(*readings: tuple[Made, ...], is_open: bool = False) -> Verdict:
    """The verdict on a claim with these readings."""
    claim = Claim(
        "C00",
        "something",
        (torvalds("11 18:46", "x@y"),),
        tuple(reading(f"r{number}", *asked) for number, asked in enumerate(readings)),
        CONFIRMED,
        "a reason",
        is_open,
    )
    return decide(claim, {question: question.ask() for question in claim.questions})


YES, NO = Made("yes", True), Made("no", False)


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize(
    ("readings", "verdict"),
    [
        ([(YES,)], CONFIRMED),
        ([(NO,)], REFUTED),
        ([(YES, NO)], REFUTED),
        ([(YES,), (YES,)], CONFIRMED),
        ([(NO,), (YES, NO)], REFUTED),
    ],
)
def test_readings_that_agree_decide(
    readings: list[tuple[Made, ...]], verdict: str, is_open: bool
) -> None:
    assert decided(*readings, is_open=is_open).verdict == verdict


def test_where_readings_differ_it_is_that_of_the_one_that_was_meant() -> None:
    assert decided((YES,), (NO,)).verdict == CONFIRMED
    assert decided((NO,), (YES,)).verdict == REFUTED


def test_where_readings_differ_and_the_words_leave_it_open_nothing_is_decided() -> None:
    found = decided((YES,), (NO,), is_open=True)
    assert found.verdict == UNDECIDABLE
    assert found.why == "yes; no"
    assert not found.is_expected


def test_the_reading_says_which_hold_and_which_fail() -> None:
    assert decided((YES,)).reading == "r0"
    assert decided((YES,), (YES,)).reading == "holds: r0 / r1"
    assert decided((YES,), (NO,)).reading == "holds: r0; fails: r1"
    assert decided((YES,), (NO,)).held == (True, False)


def test_what_fails_is_what_refutes() -> None:
    run = Made("run", False, "uemu1:01")
    found = decided((YES, run, NO))
    assert found.why == "run; no"
    assert found.evidence.schedule == "uemu1:01"


def test_a_run_is_better_evidence_than_its_absence() -> None:
    run = Made("run", True, "uemu1:01", exhaustive=False)
    found = decided((YES, run))
    assert found.evidence.text == "run"
    assert found.schedules == 20


@pytest.mark.parametrize(
    ("questions", "exhaustive"),
    [
        ((YES,), True),
        ((YES, Made("cut", True, None, False)), False),
        ((YES, Made("run", True, "uemu1:01", False)), True),  # what exists needs one order
        ((Made("run", True, "uemu1:01", False),), False),
    ],
)
def test_exhaustive_is_about_what_was_not_found(
    questions: tuple[Made, ...], exhaustive: bool
) -> None:
    assert decided(questions).exhaustive is exhaustive


def test_json_has_the_keys_of_the_interface() -> None:
    found = decided((Made("run", True, "uemu1:01"),), (NO,)).as_json()
    assert {
        "id": "C00",
        "verdict": "confirmed",
        "why": "run",
        "scenario": "lost-read",
        "policy": "linux-2.6.29",
        "schedule": "uemu1:01",
        "schedules": 10,
        "exhaustive": False,
    }.items() <= found.items()
    assert found["reading"] == "holds: r0; fails: r1"
    assert found["sources"][0]["author"] == "L. Torvalds"
    assert [each["holds"] for each in found["readings"]] == [True, False]


def test_a_swap_reaches_every_question() -> None:
    claim = decided((YES, NO), (YES,)).claim.instead(Swap("yes", "perhaps"))
    assert [str(getattr(each, "name", "")) for each in claim.questions] == [
        "perhaps",
        "no",
        "perhaps",
    ]
