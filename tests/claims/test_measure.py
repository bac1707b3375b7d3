from __future__ import annotations

import pickle

import pytest

from uemu.claims.measure import FIGURES, NO_MEMORY, RELATIONS, SLOW_GUPS, Measure, costs
from uemu.claims.question import Swap
from uemu.explore import Schedule, replay
from uemu.matrix.costs import Costs


def test_a_figure_is_compared_with_what_was_said() -> None:
    """The parent's store copies, and the child's then reuses."""
    one = costs("cow_copies", "=", 1, "lost-read", "linux-2.6.29").ask()
    assert one.holds
    assert one.text == "pages copied to break COW in lost-read under linux-2.6.29: 1"
    assert one.asked == ("cow_copies",)
    assert not costs("cow_copies", "=", 2, "lost-read", "linux-2.6.29").ask().holds
    assert not costs("cow_copies", "at least", 2, "lost-read", "linux-2.6.29").ask().holds
    assert costs("cow_copies", "at least", 0, "lost-read", "linux-2.6.29").ask().holds


def test_a_figure_is_compared_with_that_of_another_policy() -> None:
    """v1 marks the page: an atomic and a barrier."""
    v1, base = "arcangeli-2009-v1", "linux-2.6.29"
    more = costs("gup_fast_atomics", "=", 1, "lost-read", v1, base=base)
    assert more.ask().holds
    assert more.ask().text.endswith(
        "in lost-read under arcangeli-2009-v1: 2, and 1 under linux-2.6.29"
    )
    fence = costs(
        "gup_fast_barriers", "=", 1, "lost-read", "arcangeli-2009-v1", base="linux-2.6.29"
    )
    assert fence.ask().holds
    none = costs("gup_fast_barriers", "=", 1, "lost-read", f"{v1}:nomb")
    assert not none.ask().holds


@pytest.mark.parametrize(
    ("policy", "slow"), [("linux-2.6.29", 0), ("linux-2.6.7", 1), ("piggin-2009-page", 1)]
)
def test_who_takes_mmap_lock_to_look_a_page_up(policy: str, slow: int) -> None:
    assert costs(SLOW_GUPS, "=", slow, "child-corrupted", policy).ask().holds


def test_its_run_can_be_replayed() -> None:
    question = costs("cow_copies", "=", 1, "lost-read", "linux-2.6.29")
    schedule = question.ask().schedule
    assert schedule is not None
    assert str(replay(question.where, Schedule.parse(schedule)).schedule) == schedule


def test_figures_and_relations_are_known() -> None:
    assert FIGURES.keys() - {SLOW_GUPS, NO_MEMORY} <= Costs().as_json().keys()
    with pytest.raises(KeyError):
        costs("cow_copies", "perhaps", 1, "lost-read", "linux-2.6.29").ask()
    assert set(RELATIONS) == {"=", "at least"}


def test_a_swap_and_a_pickle() -> None:
    question = costs("cow_copies", "=", 1, "lost-read", "linux-5.9", base="linux-2.6.29")
    other = question.instead(Swap("linux-5.9", "linux-6.5"))
    assert isinstance(other, Measure)
    assert (other.where.policy, other.base) == ("linux-6.5", "linux-2.6.29")
    assert pickle.loads(pickle.dumps(question)) == question


def test_a_scale_scenario_has_the_size_that_is_asked_for() -> None:
    question = costs("fork_copies", "=", 7, "big-vma-cost", "piggin-2009-vma", pages=7)
    answer = question.ask()
    assert answer.holds
    assert answer.schedule is None
    assert "big-vma-cost under piggin-2009-vma, 7 pages: 7" in answer.text


@pytest.mark.parametrize(("frames", "refused"), [(7, 1), (8, 0), (0, 0)])
def test_frames_may_run_out(frames: int, refused: int) -> None:
    """Four pages, and four copies."""
    question = costs(NO_MEMORY, "=", refused, "big-vma-cost", "piggin-2009-vma", frames=frames)
    answer = question.ask()
    assert answer.holds
    assert (answer.schedule is None) == bool(frames)
