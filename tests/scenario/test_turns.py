"""Turns: who goes on when, on made-up actors."""

from __future__ import annotations

import pytest

from uemu.scenario.registry import SCENARIOS
from uemu.scenario.turns import Turns, Went


class Made:
    """Somebody whose turns take whatever the gates in front of them allow.

    Args:
        gates: what each turn waits for, in order: names of turns that were taken.
    """

    mm = 0

    def __init__(self, name: str, taken: list[str], *gates: str) -> None:
        self.name = name
        self.taken = taken
        self.gates = list(gates)

    @property
    def over(self) -> bool:
        return not self.gates

    @property
    def waits_for(self) -> str | None:
        if self.over or self.gates[0] in ("", *self.taken):
            return None
        return f"a_gate: {self.gates[0]}"

    def go_on(self) -> Went:
        if self.waits_for is not None:
            return Went.NOWHERE
        self.taken.append(f"{self.name}{len(self.gates)}")
        del self.gates[0]
        return Went.THROUGH


def turns_of(*actors: Made) -> Turns:
    return Turns(SCENARIOS["lost-read"], {actor.name: actor for actor in actors})


def test_whoever_waits_goes_on_after_the_turn_that_lets_it() -> None:
    taken: list[str] = []
    turns = turns_of(Made("a", taken, "b1"), Made("b", taken, ""))
    turns.give("a")
    assert taken == []
    turns.give("b")
    assert taken == ["b1", "a1"]
    assert turns.deadlocks() == ()


def test_those_who_wait_go_on_in_the_order_in_which_they_fell_behind() -> None:
    taken: list[str] = []
    turns = turns_of(Made("a", taken, "c1"), Made("b", taken, "c1"), Made("c", taken, ""))
    for name in "bac":
        turns.give(name)
    assert taken == ["c1", "b1", "a1"]


def test_one_who_goes_on_may_let_an_earlier_one_go_on() -> None:
    taken: list[str] = []
    turns = turns_of(Made("a", taken, "b1"), Made("b", taken, "c1"), Made("c", taken, ""))
    for name in "abc":
        turns.give(name)
    assert taken == ["c1", "b1", "a1"]


def test_turns_that_were_missed_are_taken_later() -> None:
    taken: list[str] = []
    turns = turns_of(Made("a", taken, "b1", "", ""), Made("b", taken, ""))
    for name in "aaab":
        turns.give(name)
    assert taken == ["b1", "a3", "a2", "a1"]


def test_whoever_waits_in_the_end_waits_for_ever() -> None:
    turns = turns_of(Made("a", [], "godot"), Made("b", [], ""))
    turns.give("a")
    turns.give("b")
    assert [str(each) for each in turns.deadlocks()] == [
        "deadlock: a waits for ever in a_gate: godot"
    ]


def test_who_is_not_there_yet_may_be_owed_a_turn_only_while_somebody_waits() -> None:
    with pytest.raises(ValueError, match="has 'child' before it is there"):
        turns_of(Made("a", [], "")).give("child")
    turns = turns_of(Made("a", [], "godot"))
    turns.give("a")
    turns.give("child")
    assert [violation.kind for violation in turns.deadlocks()] == ["deadlock"]


def test_an_order_with_too_many_turns_or_too_few_is_refused() -> None:
    turns = turns_of(Made("a", [], ""), Made("b", [], ""))
    turns.give("a")
    with pytest.raises(ValueError, match="leaves b unfinished"):
        turns.deadlocks()
    with pytest.raises(ValueError, match="has 'a' once too often"):
        turns.give("a")
