from __future__ import annotations

import pickle

import pytest

from uemu.claims import question as questions
from uemu.claims.question import Swap, never, shows
from uemu.explore import Exploration, Schedule, replay

LOST = "lost-dma-write"
SEEN = "dma-write-seen-by-other"


def test_what_exists_is_shown_by_a_run_that_can_be_replayed() -> None:
    question = shows(LOST, "lost-read-no-child-write", "linux-2.6.29")
    answer = question.ask()
    assert answer.holds
    assert not answer.exhaustive
    assert answer.text == f"lost-read-no-child-write under linux-2.6.29: {LOST}"
    assert answer.schedule is not None
    assert LOST in replay(question.where, Schedule.parse(answer.schedule)).verdicts


def test_what_exists_contradicts_who_says_that_it_does_not() -> None:
    answer = never(f"{LOST} {SEEN}", "child-corrupted", "linux-2.6.29").ask()
    assert not answer.holds
    assert answer.schedule is not None


def test_what_does_not_exist_takes_every_order() -> None:
    answer = never(LOST, "child-corrupted", "linux-2.6.29").ask()
    assert answer.holds
    assert answer.exhaustive
    assert answer.schedule is None
    assert answer.text == (
        f"child-corrupted under linux-2.6.29: no {LOST} in its {answer.schedules} orders"
    )
    assert not shows(LOST, "child-corrupted", "linux-2.6.29").ask().holds


def test_many_kinds_are_not_listed_in_a_line() -> None:
    many = f"{LOST} {SEEN} stale-dma-read torn-fork-copy"
    answer = never(many, "dontfork", "linux-2.6.29").ask()
    assert answer.text == "dontfork under linux-2.6.29: no violation, of 4 kinds, in its 4 orders"
    assert set(answer.asked) == set(many.split())


def test_a_bound_is_told() -> None:
    answer = never("torn-fork-copy", "lost-read", "linux-2.6.29", most=5).ask()
    assert answer.holds
    assert not answer.exhaustive
    assert "which are not all" in answer.text


def test_an_interrupted_search_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        questions, "explore", lambda *args, **options: Exploration(schedules=3, interrupted=True)
    )
    with pytest.raises(KeyboardInterrupt):
        never(LOST, "lost-read", "linux-2.6.29").ask()


def test_a_search_that_needs_no_other_order_is_exhaustive() -> None:
    answer = never(LOST, "dontfork", "linux-2.6.29", most=500).ask()
    assert answer.exhaustive


def test_json() -> None:
    answer = shows(LOST, "lost-read", "linux-5.9", ipi_wait=False).ask()
    assert answer.as_json() == {
        "scenario": "lost-read",
        "policy": "linux-5.9",
        "memory_model": "sc",
        "ipi_waits_for_gup_fast": False,
        "asked": [LOST],
        "as_claimed": True,
        "found": answer.text,
        "schedules": answer.schedules,
        "exhaustive": False,
        "schedule": answer.schedule,
        "replay": f"uemu replay lost-read --policy linux-5.9 --no-ipi-wait {answer.schedule}",
    }


def test_a_swap_changes_what_it_names_and_nothing_else() -> None:
    question = shows(LOST, "lost-read", "linux-5.9", ipi_wait=False, watch="leavers")
    assert question.instead(Swap("linux-5.9", "linux-6.5")) == shows(
        LOST, "lost-read", "linux-6.5", ipi_wait=False, watch="leavers"
    )
    assert question.instead(Swap("lost-read", "dontfork")) == shows(
        LOST, "dontfork", "linux-5.9", ipi_wait=False, watch="leavers"
    )
    assert question.instead(Swap("linux-5.1", "linux-6.5")) == question


def test_a_question_goes_to_another_process() -> None:
    question = never(LOST, "lost-read", "linux-5.9")
    assert pickle.loads(pickle.dumps(question)) == question
