"""kosaki-2009-dont-unmap: W asks mapcount and page_count; fork shares what is held."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.common import one_page, two_mms
from uemu.abi import PROT_READ, PROT_WRITE
from uemu.events import PageCopied
from uemu.explore import explore
from uemu.mm.hooks import PolicyHooks
from uemu.mm.page import Page
from uemu.policy.kosaki_2009_dont_unmap import Kosaki2009DontUnmap
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu

POLICY = "kosaki-2009-dont-unmap"


def test_a_store_to_a_page_nobody_holds_reuses_it() -> None:
    world, parent, child, buf = two_mms(POLICY)
    child.store(buf, b"C")
    held = parent.page(buf)
    parent.store(buf, b"P")
    assert parent.page(buf) is held
    assert [event.fn for event in world.log(PageCopied)] == ["cow_user_page"]
    world.kernel.check(at_rest=True)


def test_a_store_to_a_page_somebody_holds_copies_it_though_one_pte_maps_it() -> None:
    world, parent, child, buf = two_mms(POLICY)
    write = parent.write_disk(buf)
    child.exit()
    held = parent.page(buf)
    assert repr(held) == "<pfn 0 2/1>"
    parent.store(buf, b"P")
    assert parent.page(buf) is not held
    assert world.device_reads(write) == b"I"
    world.complete(write)
    world.kernel.check(at_rest=True)


def test_fork_shares_what_is_held_and_the_first_to_store_leaves_it() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    child = parent.fork()
    assert child.page(buf) is parent.page(buf)
    parent.store(buf, b"P")
    child.store(buf, b"C")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert (parent.load(buf, 2), child.load(buf, 2)) == (b"PI", b"CI")
    assert world.kinds() == {"lost-dma-write"}


@pytest.mark.parametrize(
    ("policy", "kinds"), [(POLICY, {"lost-dma-write"}), ("linux-2.6.29", set())]
)
def test_mprotect_and_back_loses_a_read_with_no_fork(policy: str, kinds: set[str]) -> None:
    world, parent, buf = one_page(policy)
    read = parent.read_disk(buf)
    parent.mprotect(buf, PROT_READ)
    parent.mprotect(buf, PROT_READ | PROT_WRITE)
    parent.store(buf, b"P")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert world.kinds() == kinds


def test_a_kept_reference_reads_nothing_that_is_stored_later() -> None:
    """CVE-2020-29374, eleven years before."""
    world, parent, child, buf = two_mms(POLICY)
    pipe = child.write_disk(buf, api="vmsplice")
    child.munmap(buf)
    parent.store(buf, b"S")
    assert world.device_reads(pipe) == b"I"
    assert world.kinds() == set()


# Mutants ---------------------------------------------------------------------------------


class ReuseIgnoresTheCount(Kosaki2009DontUnmap):
    """count == 1, as before."""

    reuse_anon_page = Linux2_6_29.reuse_anon_page


class ReuseIgnoresTheMapcount(Kosaki2009DontUnmap):
    """page_count alone, which counts the PTEs, too: as good, until there is swap."""

    def reuse_swap_page(self, cpu: Cpu, page: Page) -> bool:
        return True


@pytest.mark.parametrize("scenario", ["reverse-race", "ro-pin-then-fork"])
@pytest.mark.parametrize(
    ("policy", "kinds"),
    [
        (Kosaki2009DontUnmap, set()),
        (ReuseIgnoresTheCount, {"foreign-dma-read"}),
        (ReuseIgnoresTheMapcount, set()),
    ],
)
def test_the_count_is_what_keeps_the_child_off(
    scenario: str, policy: type[PolicyHooks], kinds: set[str]
) -> None:
    found = explore(lambda: SimulatedWorld(SCENARIOS[scenario], policy()))
    assert found.exhaustive
    assert set(found.verdicts) == kinds
    assert simulate(SCENARIOS[scenario], policy()).kinds == kinds


@pytest.mark.parametrize(
    ("waits", "kinds"),
    [(True, set()), (False, {"foreign-dma-read", "pinned-page-freed"})],
)
def test_gup_fast_must_hold_the_flush_up(waits: bool, kinds: set[str]) -> None:
    """Else it takes a page whose count was 1 when its new owner looked."""
    scenario = SCENARIOS["reverse-race"]
    found = explore(lambda: SimulatedWorld(scenario, POLICY, ipi_waits_for_gup_fast=waits))
    assert found.exhaustive
    assert set(found.verdicts) == kinds


# Reclaim -------------------------------------------------------------------------------------


class LooksBeforeOnly(Kosaki2009DontUnmap):
    """try_to_unmap_one() does not look again; what variant one-check is, too."""

    swap_entry_for = Linux2_6_29.swap_entry_for


class LooksNowhere(LooksBeforeOnly):
    """try_to_unmap_one() as in 2.6.29."""

    may_unmap = Linux2_6_29.may_unmap


def reclaim_vs_gup_fast(policy: PolicyHooks, *, waits: bool = True) -> SimulatedWorld:
    scenario = SCENARIOS["reclaim-vs-gup-fast"]
    return SimulatedWorld(scenario, policy, ipi_waits_for_gup_fast=waits)


@pytest.mark.slow
def test_reclaim_and_gup_fast_do_not_miss_each_other() -> None:
    found = explore(lambda: reclaim_vs_gup_fast(Kosaki2009DontUnmap()))
    assert found.exhaustive
    assert found.verdicts == {}


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        (lambda: Kosaki2009DontUnmap("one-check"), True),
        (LooksBeforeOnly, True),
        (LooksNowhere, True),
        (Kosaki2009DontUnmap, False),  # what comes behind the second look
    ],
)
def test_unless_one_of_its_looks_is_missing_or_the_flush_does_not_wait(
    policy: Callable[[], PolicyHooks], waits: bool
) -> None:
    kind = "lost-dma-write"
    found = explore(lambda: reclaim_vs_gup_fast(policy(), waits=waits), wanted=kind)
    assert kind in found.verdicts


def test_told_in_order_it_is_the_first_look_alone_that_matters() -> None:
    scenario = SCENARIOS["swap-out-while-pinned"]
    assert simulate(scenario, Kosaki2009DontUnmap("one-check")).kinds == set()
    assert simulate(scenario, LooksNowhere()).kinds == {"lost-dma-write"}
