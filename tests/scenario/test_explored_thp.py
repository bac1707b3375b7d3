"""Transparent huge pages in every order; the numbers as in ``test_explored``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scenario.test_explored import LOST, SEEN, explored, slow
from uemu.abi import MADV_DONTNEED, PAGE_SIZE
from uemu.explore import Uniform, explore
from uemu.scenario.actions import (
    HPAGE_NR,
    DeviceStores,
    Exit,
    Fork,
    Madvise,
    Migrate,
    Register,
    Release,
    Store,
    SwapOut,
)
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import LAST_SECTOR, SECTOR, Scenario, Script, Stage, read_disk
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


def test_in_some_orders_the_child_sees_what_the_device_writes() -> None:
    """It stores later, or the device writes earlier, than told."""
    scenario = SCENARIOS["thp-lost-read"]
    found = explore(lambda: SimulatedWorld(scenario, "linux-5.9"), wanted={LOST, SEEN})
    assert set(found.verdicts) == {LOST, SEEN}


# A pin by gup-fast, from a huge entry that fork is about to share -----------------------------


def _registered(stage: Stage) -> Script:
    memory = yield Register(stage.buf, 512, writable=True, api="rdma")
    yield DeviceStores(memory, 1, b"D")
    yield Release(memory)


def _fork_and_store(stage: Stage) -> Script:
    yield Fork("child")
    yield Store(stage.buf, b"P")


PINNED_VS_FORK = Scenario(
    "pinned-vs-fork",
    "a page of a huge page pinned by gup-fast while another thread forks and stores",
    setup,
    {"io": _registered, "fork": _fork_and_store},
    {},
    "io fork fork io io",
)


def test_a_fast_pin_of_a_huge_entry_that_fork_does_not_see_is_lost() -> None:
    found = explore(lambda: SimulatedWorld(PINNED_VS_FORK, "linux-5.9"), wanted={LOST, SEEN})
    assert set(found.verdicts) == {LOST, SEEN}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        ("linux-5.11", set()),  # write_protect_seq
        ("hildenbrand-2021-model2", {SEEN}),  # it marks what fork has begun to share
    ],
)
def test_a_fast_pin_of_a_huge_entry_against_fork(policy: str, verdicts: set[str]) -> None:
    found = explore(lambda: SimulatedWorld(PINNED_VS_FORK, policy))
    assert found.exhaustive
    assert set(found.verdicts) == verdicts


# Much at once ----------------------------------------------------------------------------------


def _read(stage: Stage) -> Script:
    yield from read_disk(stage.buf + LAST_SECTOR, b"D" * SECTOR)


def _stores(stage: Stage) -> Script:
    yield Store(stage.buf, b"P")
    yield Store(stage.buf + 3 * PAGE_SIZE, b"Q")


def _fork_and_store_beside(stage: Stage) -> Script:
    yield Fork("child")
    yield Store(stage.buf + PAGE_SIZE, b"P")


def _child(stage: Stage) -> Script:
    yield Store(stage.buf + 2 * PAGE_SIZE, b"C")
    yield Exit()


def _migrated(stage: Stage) -> Script:
    yield Migrate(stage.buf)


def _swapped(stage: Stage) -> Script:
    yield SwapOut(stage.buf + PAGE_SIZE)


def _dropped(stage: Stage) -> Script:
    yield Madvise(stage.buf + 2 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED)
    yield Madvise(stage.buf, HPAGE_NR * PAGE_SIZE, MADV_DONTNEED)


@pytest.mark.parametrize(
    ("fourth", "policy", "tso"),
    [
        (_migrated, "linux-4.19", True),
        (_migrated, "linux-6.5", False),
        (_swapped, "linux-5.8", True),
        (_swapped, "linux-6.5", False),
        (_dropped, "linux-5.8", True),
        (_dropped, "linux-6.5", False),
    ],
)
def test_whatever_comes_together_no_reference_is_lost_and_nobody_waits_for_ever(
    fourth: Callable[[Stage], Script], policy: str, tso: bool
) -> None:
    """Some orders: those in which a split met a fork, a migration a fork, a fault a drop."""
    threads = {"io": _read, "fork": _fork_and_store_beside, "fourth": fourth, "cpu": _stores}
    scenario = Scenario("made-up", "made up", setup, threads, {"child": _child}, "")
    found = explore(
        lambda: SimulatedWorld(scenario, policy, tso=tso), sampler=Uniform(3), max_schedules=60
    )
    assert set(found.verdicts) <= {LOST, SEEN}
    assert found.steps > 1500
