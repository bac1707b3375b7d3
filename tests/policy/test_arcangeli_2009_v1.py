"""arcangeli-2009-v1: PG_gup for reads too, and the two ways in which a read gup is not covered."""

from __future__ import annotations

import pytest

from tests.common import one_page, two_mms
from uemu.abi import PROT_READ, Foll
from uemu.events import PageCopied
from uemu.explore import explore
from uemu.mm.gup import lockless_pages_from_mm
from uemu.mm.page import Page
from uemu.mm.swap import add_to_swap_cache
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld
from uemu.step import run

POLICY = "arcangeli-2009-v1"


def is_marked(page: Page) -> bool:
    return "PG_gup" in page.flags_set()


@pytest.mark.parametrize("api", ["o_direct", "vfio"], ids=["fast", "slow"])
def test_a_read_gup_marks_the_page_and_fork_copies_it(api: str) -> None:
    world, parent, buf = one_page(POLICY)
    if api == "vfio":
        parent.register(buf, writable=False, api=api)
    else:
        parent.write_disk(buf, api=api)
    held = parent.page(buf)
    assert is_marked(held)
    child = parent.fork()
    assert [event.fn for event in world.log(PageCopied)] == ["fork_pre_cow"]
    assert child.page(buf) is not held
    assert parent.page(buf) is held
    assert parent.pte(buf).write


@pytest.mark.parametrize("foll", [Foll.GET, Foll.GET | Foll.WRITE])
def test_gup_fast_succeeds_to_read_and_to_write(foll: Foll) -> None:
    world, parent, buf = one_page(POLICY)
    pages = run(lockless_pages_from_mm(world.kernel.mech, parent.cpu, parent.mm, [buf], foll))
    assert pages == [parent.page(buf)]


def test_a_read_gup_of_a_shared_page_takes_it_and_leaves_cow() -> None:
    world, parent, child, buf = two_mms(POLICY)
    shared = child.page(buf)
    write = parent.write_disk(buf)
    assert parent.page(buf) is shared
    assert is_marked(shared)
    parent.store(buf, b"P")
    child.store(buf, b"C")
    assert world.device_reads(write) == b"C"
    assert world.kinds() == {"foreign-dma-read"}


def test_the_second_version_closes_that() -> None:
    scenario = SCENARIOS["reverse-race"]
    assert simulate(scenario, POLICY).kinds == {"foreign-dma-read"}
    assert simulate(scenario, "arcangeli-2009-v2").kinds == set()


@pytest.mark.parametrize(("write", "kept"), [(False, True), (True, False)], ids=["read", "write"])
def test_the_recheck_does_not_stop_a_read_gup_fast(write: bool, kept: bool) -> None:
    """It asks for what the mask asks for: to read, that is a present entry."""
    world, parent, buf = one_page(POLICY)
    held, other = parent.page(buf), world.cpu_of(parent.mm)
    foll = Foll.GET | Foll.WRITE if write else Foll.GET
    gup = lockless_pages_from_mm(world.kernel.mech, other, parent.mm, [buf], foll)
    while next(gup).what != "SetPageGUP":
        pass
    fork = world.kernel.fork(parent.cpu, parent.mm, "child")
    while next(fork).fn != "flush_tlb_others":
        pass
    pages = run(gup)
    child = world.process(run(fork))
    assert pages == ([held] if kept else [])
    assert child.page(buf) is parent.page(buf) is held


@pytest.mark.parametrize(
    ("variant", "verdicts"),
    [("", set()), (":norecheck", {"lost-dma-write", "dma-write-seen-by-other"}), (":nomb", set())],
)
def test_a_write_gup_fast_is_stopped(variant: str, verdicts: set[str]) -> None:
    found = explore(lambda: SimulatedWorld(SCENARIOS["gup-fast-vs-fork"], POLICY + variant))
    assert found.exhaustive
    assert set(found.verdicts) == verdicts


def test_a_read_gup_without_vm_write_returns() -> None:
    world, parent, buf = one_page(POLICY)
    parent.mprotect(buf, PROT_READ)
    assert world.device_reads(parent.write_disk(buf)) == b"I"


@pytest.mark.parametrize("held", [False, True])
def test_the_swap_caches_reference_is_nobodys_hold(held: bool) -> None:
    """page_mapcount(page) + !!PageSwapCache(page)."""
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    page, mech = parent.page(buf), world.kernel.mech
    add_to_swap_cache(mech, parent.cpu, page, mech.swap.alloc())
    if not held:
        world.complete(read)
    child = parent.fork()
    assert (child.page(buf) is page) is not held
