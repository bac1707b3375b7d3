"""Happened-before as bit sets, on steps written out by hand."""

from __future__ import annotations

from uemu.explore.clocks import Clocks, conflict, covers, with_creation
from uemu.step import Access


def access(reads: str = "", writes: str = "", counts: str = "") -> Access:
    return Access(*(frozenset((cell,) for cell in cells) for cells in (reads, writes, counts)))


def test_two_reads_do_not_conflict() -> None:
    assert not conflict(access("x"), access("x"))
    assert not conflict(access("x", "y"), access("x", "z"))
    assert conflict(access("x"), access("", "x"))
    assert conflict(access("", "x"), access("x"))
    assert conflict(access("", "x"), access("", "x"))


def test_two_that_count_do_not_conflict() -> None:
    count = access(counts="x")
    assert not conflict(count, count)
    for other in (access("x"), access("", "x")):
        assert conflict(count, other)
        assert conflict(other, count)
    assert not conflict(count, access("y", "z", "w"))


def test_two_creations_conflict() -> None:
    assert conflict(with_creation(access("x")), with_creation(access("y")))
    assert not conflict(with_creation(access("x")), access("y"))


def test_covers_whatever_conflicts() -> None:
    assert covers(access("x", "y"), access("x"))
    assert covers(access("", "x"), access("x"))
    assert not covers(access("x"), access("", "x"))
    assert not covers(access("x"), access("xy"))


def test_a_write_covers_a_count_and_a_read_does_not() -> None:
    count = access(counts="x")
    assert covers(count, count)
    assert covers(access("", "x"), count)
    assert not covers(access("x"), count)
    assert not covers(count, access("x"))
    assert not covers(count, access("", "x"))


def test_race_with_every_earlier_conflict_that_is_not_ordered() -> None:
    clocks = Clocks()
    clocks.begin(2)
    assert clocks.push(0, access("", "x"), 0) == 0
    assert clocks.push(0, access("y"), 0) == 0
    assert clocks.push(0, access("", "x"), 0) == 0  # ordered: its own task
    assert clocks.push(1, access("x"), 0) == 0b101
    assert clocks.past[3] == 0b1111
    assert clocks.push(1, access("x"), 0) == 0  # it knows of them by now


def test_a_conflict_orders_what_came_before_it() -> None:
    clocks = Clocks()
    clocks.begin(3)
    clocks.push(0, access("", "x"), 0)
    clocks.push(0, access("", "y"), 0)
    assert clocks.push(1, access("y"), 0) == 0b010
    assert clocks.push(1, access("x"), 0) == 0  # learnt through y
    assert clocks.push(2, access("x"), 0) == 0b0001


def test_a_new_task_knows_what_its_creator_knew() -> None:
    clocks = Clocks()
    clocks.begin(2)
    clocks.push(0, access("", "x"), 0)
    clocks.push(0, with_creation(access()), 1)
    assert clocks.push(2, access("x"), 0) == 0
    assert clocks.push(1, access("x"), 0) == 0b001
    clocks.pop()
    clocks.pop()
    clocks.pop()
    assert len(clocks.known) == 2


def test_who_lost_the_right_to_run_is_in_a_race_with_the_thief() -> None:
    clocks = Clocks()
    clocks.begin(2)
    clocks.push(0, access("", "x"), 0)
    clocks.lose(1)
    assert clocks.push(1, access("y"), 0) == 0b01
    assert clocks.push(1, access("y"), 0) == 0  # that was another step


def test_pop_leaves_no_trace() -> None:
    clocks = Clocks()
    clocks.begin(2)
    for step in (access("x", "x"), access("", "y"), access("xy")):
        clocks.push(0, step, 0)
        clocks.lose(1)
    for _ in range(3):
        clocks.pop()
    assert (clocks.past, clocks.known) == ([], [0, 0])
    assert clocks.push(1, access("xy", "xy"), 0) == 0


def test_who_can_go_first() -> None:
    clocks = Clocks()
    clocks.begin(4)
    clocks.push(0, access("", "x"), 0)
    clocks.push(1, access("x"), 0)  # depends on step 0
    clocks.push(2, access("", "y"), 0)
    clocks.push(3, access("y"), 0)  # depends on step 2
    clocks.push(3, access("z"), 0)
    assert clocks.firsts(0, 0b11111) == 0b0100
    assert clocks.firsts(0, 0b11011) == 0b1000
    assert clocks.firsts(3, 0b01111) == 0


def test_counting_races_with_looking_and_setting_alone() -> None:
    clocks = Clocks()
    clocks.begin(5)
    clocks.push(0, access(counts="x"), 0)
    assert clocks.push(1, access(counts="x"), 0) == 0
    assert clocks.push(2, access("x"), 0) == 0b11
    assert clocks.push(3, access(counts="x"), 0) == 0b100
    clocks.pop()
    assert clocks.push(3, access("", "x"), 0) == 0b111
    clocks.pop()
    clocks.pop()
    assert clocks.push(4, access(counts="x"), 0) == 0
