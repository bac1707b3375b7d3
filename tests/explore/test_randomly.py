"""The uniform sampler: as often as its odds say, and where it is no good."""

from __future__ import annotations

from collections import Counter

from tests.explore.toys import patience, racy_counter, toy
from uemu.explore import Uniform, explore
from uemu.explore.sampling import sample


def test_each_choice_is_as_likely_as_the_others() -> None:
    drawn = Counter(
        sample(toy(racy_counter), Uniform(0).begin(number)).schedule for number in range(4000)
    )
    # Six schedules. 0011 and 1100 have two choices that are open: 1/4 each. The
    # others have three: 1/8 each. A thousand and five hundred, give or take.
    assert set(drawn) == {
        (0, 0, 1, 1), (1, 1, 0, 0), (0, 1, 0, 1), (0, 1, 1, 0), (1, 0, 0, 1), (1, 0, 1, 0),
    }  # fmt: skip
    for schedule, count in drawn.items():
        likely = 1000 if len(set(schedule[:2])) == 1 else 500
        assert abs(count - likely) < 100


def test_hardly_ever_lets_one_task_stand_still_for_long() -> None:
    # 1/2 for each of 20 steps: once in a million. `pct` finds it at once.
    assert explore(toy(patience, 20), sampler=Uniform(0)).verdicts == {}
    # The control: two steps, once in four.
    found = explore(toy(patience, 2), sampler=Uniform(0), max_schedules=40)
    assert set(found.verdicts) == {"overtaken"}
