"""linux-2.6.7: a write fault asks page_count under PG_locked, and gup is slow."""

from __future__ import annotations

import pytest

from tests.common import one_page, run_steps, two_mms
from uemu.abi import PROT_READ, PROT_WRITE, Foll
from uemu.explore import explore
from uemu.mm.gup import hold_user_pages
from uemu.mm.hooks import GupCall
from uemu.mm.page import Page, page_mapcount
from uemu.policy.linux_2_6_7 import Linux2_6_7
from uemu.scenario.registry import SCENARIOS
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


class WritersAskTheMapcount(Linux2_6_7):
    """can_share_swap_page() as since c475a8ab625d."""

    def can_share_swap_page(self, cpu: Cpu, page: Page) -> bool:
        return not page.reserved and page_mapcount(cpu, page) == 1


class WritersTakeOver(Linux2_6_7):
    """do_wp_page() asks nobody."""

    def can_share_swap_page(self, cpu: Cpu, page: Page) -> bool:
        return not page.reserved


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
