"""Rows of a run: in which order, who lived, what was in flight."""

from __future__ import annotations

from tests.report.made_timeline import CHILD, EVENTS, PARENT, made_timeline
from uemu.events import MmCreated, MmGone
from uemu.report.timeline import MOST, VIOLATION


def test_each_decision_is_a_row_in_order() -> None:
    rows = made_timeline().rows
    assert [(row.who, row.word) for row in rows] == [
        ("A", "begins"),
        ("A", "takes pages"),
        ("A", "fork"),
        ("A", "write fault"),
        ("device", VIOLATION),
        ("device", "over"),
        ("device", VIOLATION),
        ("B", "ends"),
        ("A", "ends"),
    ]
    assert [row.number for row in rows] == list(range(1, 10))
    assert [round(row.at_ms) for row in rows] == list(range(9))
    assert rows[3].text == "copies pfn 0 to pfn 1"
    assert rows[3].owners == "pfn 0: B r-, io 1; pfn 1: A rw"


def test_a_transfer_is_in_flight_from_its_first_row_to_its_last() -> None:
    rows = made_timeline().rows
    assert [[io for _, io in row.flights] for row in rows] == [[], *[[1]] * 6, [], []]
    assert [row.number for row in rows if row.starts] == [2]
    assert [row.number for row in rows if row.ends] == [7]


def test_a_child_has_a_place_beside_its_parent_while_it_lives() -> None:
    rows = made_timeline().rows
    assert (rows[2].place, rows[2].child) == (0, 1)
    assert [row.alive for row in rows] == [(0,), (0,), *[(0, 1)] * 5, (0,), ()]
    assert made_timeline().names == {
        "A": "reader<b>[4711]",
        "B": "child 1 of reader<b>[4711]",
    }


def test_places_are_taken_again() -> None:
    again = (MmCreated(7, "later", None), MmGone(7))
    rows = made_timeline((*EVENTS, *again)).rows
    assert rows[-2].place == 0
    assert rows[-2].who == "C"


def test_of_a_long_run_the_first_rows_are_kept_and_every_violation() -> None:
    many = [event for number in range(9, MOST + 9)
            for event in (MmCreated(number, f"p{number}", None), MmGone(number))]  # fmt: skip
    timeline = made_timeline([*many, *EVENTS])
    assert len(timeline.rows) == MOST + 2
    assert [row.word for row in timeline.rows[-2:]] == [VIOLATION] * 2
    assert timeline.left_out == 2 * MOST + 7 - MOST
    assert {PARENT, CHILD}.isdisjoint(range(9, MOST + 9))
