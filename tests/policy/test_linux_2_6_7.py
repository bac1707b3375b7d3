"""linux-2.6.7: a write fault asks page_count under PG_locked, and gup is slow."""

from __future__ import annotations

import pytest

from tests.common import one_page, run_steps, two_mms
from tests.mm.test_reclaim import swap_out
from uemu.abi import PROT_READ, PROT_WRITE, Foll
from uemu.explore import explore
from uemu.mm.gup import hold_user_pages
from uemu.mm.hooks import GupCall
from uemu.mm.page import Page, page_mapcount
from uemu.mm.reclaim import FREED
from uemu.policy.linux_2_6_7 import Linux2_6_7
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.scenario.actions import Store, SwapOut
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import (
    LAST_SECTOR,
    SECTOR,
    Scenario,
    Script,
    Stage,
    map_and_fill,
    read_disk,
)
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu

POLICY = "linux-2.6.7"


def test_who_is_alone_reuses_and_who_is_held_copies() -> None:
    world, parent, child, buf = two_mms(POLICY)
    child.exit()
    held = parent.page(buf)
    parent.store(buf, b"P")
    assert parent.page(buf) is held

    read = parent.read_disk(buf)
    parent.fork().exit()
    parent.store(buf, b"Q")
    assert parent.page(buf) is not held
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert world.kinds() == {"lost-dma-write"}
    world.kernel.check(at_rest=True)


def test_a_read_is_lost_with_no_fork_when_mprotect_takes_the_write_bit() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    parent.mprotect(buf, PROT_READ)
    parent.mprotect(buf, PROT_READ | PROT_WRITE)
    parent.store(buf, b"P")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert world.kinds() == {"lost-dma-write"}


def test_whoever_has_the_page_locked_makes_a_write_fault_copy() -> None:
    _, parent, child, buf = two_mms(POLICY)
    child.exit()
    page = parent.page(buf)
    page.locked.value = True
    parent.store(buf, b"P")
    assert parent.page(buf) is not page


def test_a_read_gup_of_untouched_memory_faults_the_zero_page_in() -> None:
    world, parent, _ = one_page(POLICY)
    buf = parent.mmap()
    world.complete(parent.write_disk(buf))
    assert parent.page(buf) is world.kernel.mech.zero_page()
    assert world.kernel.mech.zero_page().refcount.peek() == 1


@pytest.mark.parametrize(("policy", "fast"), [(POLICY, False), (f"{POLICY}:gup-fast", True)])
def test_there_is_no_gup_fast(policy: str, fast: bool) -> None:
    world, parent, buf = one_page(policy)
    call = GupCall(Foll.GET | Foll.WRITE, fast=True)
    op = hold_user_pages(world.kernel.mech, parent.cpu, parent.mm, buf, 1, call)
    _, taken = run_steps(op)
    assert ("gup_pte_range" in taken) is fast
    assert ("follow_page" in taken) is not fast


@pytest.mark.parametrize("policy", [POLICY, f"{POLICY}:gup-fast"])
def test_in_every_order_fork_loses_the_read_and_nothing_else(policy: str) -> None:
    found = explore(lambda: SimulatedWorld(SCENARIOS["gup-fast-vs-fork"], policy))
    assert found.exhaustive
    assert set(found.verdicts) == {"lost-dma-write", "dma-write-seen-by-other"}


@pytest.mark.parametrize("scenario", ["reverse-race", "ro-pin-then-fork"])
def test_in_no_order_a_device_reads_another_process_bytes(scenario: str) -> None:
    found = explore(lambda: SimulatedWorld(SCENARIOS[scenario], POLICY))
    assert "foreign-dma-read" not in found.verdicts


# Reclaim ----------------------------------------------------------------------------------


def test_reclaim_leaves_a_held_page_where_it_is_and_frees_it_later() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    held = parent.page(buf)
    assert swap_out(parent, buf) == "it could not be unmapped"
    assert parent.page(buf) is held
    parent.store(buf, b"P")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert parent.load(buf, 2) == b"PD"
    assert world.kinds() == set()
    assert swap_out(parent, buf) == FREED
    assert parent.load(buf, 2) == b"PD"
    world.kernel.check(at_rest=True)


def test_a_page_that_comes_back_is_reused_and_stays_in_the_swap_cache() -> None:
    world, parent, buf = one_page(POLICY)
    swap_out(parent, buf)
    assert parent.load(buf) == b"I"
    page = parent.page(buf)
    parent.store(buf, b"P")
    assert parent.page(buf) is page
    assert page.swap.peek() is not None
    assert swap_out(parent, buf) == FREED
    assert parent.load(buf) == b"P"
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("write", [True, False])
def test_a_page_that_comes_back_to_two_is_copied_by_who_stores(write: bool) -> None:
    world, parent, child, buf = two_mms(POLICY)
    assert swap_out(parent, buf) == FREED
    if not write:
        parent.load(buf)
    parent.store(buf, b"P")
    assert (parent.load(buf), child.load(buf)) == (b"P", b"I")
    world.kernel.check(at_rest=True)


def _reads(stage: Stage) -> Script:
    yield from read_disk(stage.buf + LAST_SECTOR, b"D" * SECTOR)


def _reclaims(stage: Stage) -> Script:
    yield SwapOut(stage.buf)
    yield Store(stage.buf, b"P")


def _one_page(stage: Stage) -> Script:
    yield from map_and_fill(stage, nr_pages=1)


RECLAIM = Scenario(
    "reclaim", "read submitted while the page is reclaimed, then a store",
    _one_page, {"io": _reads, "kswapd": _reclaims}, {}, "io kswapd kswapd io",
)  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "verdicts"), [(POLICY, set()), (f"{POLICY}:gup-fast", {"lost-dma-write"})]
)
def test_gup_fast_takes_a_page_that_reclaim_is_about_to_unmap(
    policy: str, verdicts: set[str]
) -> None:
    assert simulate(RECLAIM, policy).kinds == set()
    found = explore(lambda: SimulatedWorld(RECLAIM, policy))
    assert found.exhaustive
    assert set(found.verdicts) == verdicts


class ReclaimUnmapsWhatIsHeld(Linux2_6_7):
    """try_to_unmap_one() as since c475a8ab625d."""

    may_unmap = Linux2_6_29.may_unmap


def test_without_reclaims_look_at_the_count_its_fault_loses_the_read() -> None:
    assert simulate(RECLAIM, ReclaimUnmapsWhatIsHeld()).kinds == {"lost-dma-write"}


# The count ----------------------------------------------------------------------------------


class WritersAskTheMapcount(Linux2_6_7):
    """can_share_swap_page() as since c475a8ab625d."""

    def can_share_swap_page(self, cpu: Cpu, page: Page) -> bool:
        return page_mapcount(cpu, page) == 1


class WritersTakeOver(Linux2_6_7):
    """do_wp_page() asks nobody."""

    def can_share_swap_page(self, cpu: Cpu, page: Page) -> bool:
        return True


@pytest.mark.parametrize(
    ("mutant", "scenario", "kind"),
    [
        (WritersAskTheMapcount, "reverse-race", "foreign-dma-read"),
        (WritersAskTheMapcount, "ro-pin-then-fork", "foreign-dma-read"),
        (WritersTakeOver, "lost-read", "lost-store"),
    ],
)
def test_without_the_count_it_shows(mutant: type[Linux2_6_7], scenario: str, kind: str) -> None:
    assert kind not in simulate(SCENARIOS[scenario], POLICY).kinds
    assert kind in simulate(SCENARIOS[scenario], mutant()).kinds
