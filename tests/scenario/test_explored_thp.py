"""Transparent huge pages in every order; the numbers as in ``test_explored``."""

from __future__ import annotations

import pytest

from tests.scenario.test_explored import LOST, SEEN, explored, slow
from uemu.explore import Exploration, explore
from uemu.scenario.actions import DeviceStores, Fork, Register, Release, Store
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.thp_lost_read import setup
from uemu.scenario.world import SimulatedWorld

TORN = "torn-fork-copy"


@pytest.mark.parametrize(
    ("policy", "verdicts", "schedules"),
    [("linux-4.19", {LOST, SEEN}, 55), ("linux-5.8", {SEEN}, 537)],
)
def test_the_page_under_io_is_left_only_where_all_is_copied(
    policy: str, verdicts: set[str], schedules: int
) -> None:
    found = explored("thp-other-subpage", policy)
    assert found.exhaustive
    assert set(found.verdicts) == verdicts
    assert found.schedules == schedules


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        ("linux-4.19", {SEEN}),
        ("linux-5.9", {SEEN}),  # the base page is lost
        ("linux-5.19", {LOST, SEEN}),
        slow("linux-6.5", set()),
    ],
)
def test_when_the_child_is_gone(policy: str, verdicts: set[str]) -> None:
    """In other orders the child is there yet when the device writes, and sees it."""
    found = explored("thp-child-exits-first", policy)
    assert found.exhaustive
    assert set(found.verdicts) == verdicts


@pytest.mark.parametrize(
    ("policy", "verdicts"), [("linux-5.8", set()), ("linux-5.9", {TORN}), ("linux-6.5", {TORN})]
)
def test_the_copy_of_a_held_page_of_a_huge_one_is_no_snapshot(
    policy: str, verdicts: set[str]
) -> None:
    found = explored("thp-tearing", policy)
    assert found.exhaustive
    assert set(found.verdicts) == verdicts


@pytest.mark.slow
def test_in_some_orders_the_child_sees_what_the_device_writes() -> None:
    """It stores later, or the device writes earlier, than told."""
    found = explored("thp-lost-read", "linux-5.9")
    assert found.exhaustive
    assert set(found.verdicts) == {LOST, SEEN}


# A pin by gup-fast, from a huge entry that fork is about to share -----------------------------


def _registered(stage: Stage) -> Script:
    memory = yield Register(stage.buf, 512, writable=True, api="rdma")
    yield DeviceStores(memory, 1, b"D")
    yield Release(memory)


def _fork_and_store(stage: Stage) -> Script:
    yield Fork("child")
    yield Store(stage.buf, b"P")


def pinned_vs_fork(policy: str) -> Exploration:
    """A page of a huge page is pinned by gup-fast while another thread forks and stores."""
    scenario = Scenario(
        "made-up",
        "made up",
        setup,
        {"io": _registered, "fork": _fork_and_store},
        {},
        "io fork fork io io",
    )
    return explore(lambda: SimulatedWorld(scenario, policy))


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        ("linux-5.9", {LOST, SEEN}),
        slow("linux-5.11", set()),  # write_protect_seq
        slow("linux-5.19", set()),
        slow("hildenbrand-2021-model2", {SEEN}),  # it marks what fork has begun to share
    ],
)
def test_a_fast_pin_of_a_huge_entry_against_fork(policy: str, verdicts: set[str]) -> None:
    found = pinned_vs_fork(policy)
    assert found.exhaustive
    assert set(found.verdicts) == verdicts
