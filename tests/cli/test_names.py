"""From what was typed to a world, and back to what can be typed."""

from __future__ import annotations

import pickle
from argparse import Namespace

import pytest

from uemu.cli.names import WorldMaker, read_schedule
from uemu.cli.parser import UsageError
from uemu.cli.policy_names import check_policy
from uemu.explore import Schedule
from uemu.scenario.registry import SCENARIOS


def asked(scenario: str, policy: str, *, ipi_wait: bool = True) -> Namespace:
    return Namespace(scenario=scenario, policy=policy, ipi_wait=ipi_wait, memory_model="sc")


def test_a_maker_makes_a_fresh_world_each_time_and_knows_the_last() -> None:
    maker = WorldMaker.from_args(asked("dontfork", "linux-6.5"))
    assert maker.last is None
    first, second = maker(), maker()
    assert first is not second
    assert maker.last is second


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_maker_travels_to_another_process_and_leaves_its_world_behind(name: str) -> None:
    maker = WorldMaker.from_args(asked(name, "linux-6.5", ipi_wait=False))
    before = pickle.dumps(maker)
    maker()
    assert pickle.dumps(maker) == before
    there = pickle.loads(before)
    assert there.last is None
    assert (str(there), there.ipi_wait) == (str(maker), False)
    assert there().state() == maker().state()


def test_a_maker_has_names_for_people_and_for_a_shell() -> None:
    maker = WorldMaker.from_args(asked("dontfork", "arcangeli-2009-v2:nomb", ipi_wait=False))
    assert str(maker) == "dontfork under arcangeli-2009-v2:nomb"
    assert maker.remark == "nomb"
    assert maker.replay_command(Schedule([0, 1])) == (
        "uemu replay dontfork --policy arcangeli-2009-v2:nomb --no-ipi-wait uemu1:01"
    )


@pytest.mark.parametrize("policy", ["linux", "", ":norecheck", "linux-6.5:x"])
def test_a_policy_that_is_none_is_wrong_use(policy: str) -> None:
    assert check_policy("linux-6.5") == "linux-6.5"
    with pytest.raises(UsageError):
        check_policy(policy)


def test_a_scenario_that_is_none_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="unknown scenario 'don-fork'; nearest: dontfork"):
        WorldMaker.from_args(asked("don-fork", "linux-6.5"))


def test_what_a_kernel_does_not_have_cannot_be_asked_of_it() -> None:
    WorldMaker.from_args(asked("wipeonfork", "linux-4.19"))
    with pytest.raises(UsageError, match=r"wipeonfork cannot exist under linux-2\.6\.29: MADV"):
        WorldMaker.from_args(asked("wipeonfork", "linux-2.6.29"))


def test_a_schedule_that_is_none_is_wrong_use() -> None:
    assert read_schedule("uemu1:0a") == (0, 10)
    with pytest.raises(UsageError, match="does not begin with"):
        read_schedule("0a")
