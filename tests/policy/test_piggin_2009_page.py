"""piggin-2009-page: PG_dontcow, the child's copy, and the flush that comes too late for it."""

from __future__ import annotations

import pytest

from tests.common import one_page, two_mms
from uemu.abi import PAGE_SIZE, PROT_READ, Foll
from uemu.errors import InvariantError
from uemu.events import PageCopied
from uemu.explore import explore
from uemu.mm.gup import lockless_pages_from_mm
from uemu.mm.page import Page
from uemu.scenario.actions import Fork, Register, Store
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill
from uemu.scenario.world import SimulatedWorld
from uemu.step import run

POLICY = "piggin-2009-page"


def is_marked(page: Page) -> bool:
    return "PG_dontcow" in page.flags_set()


@pytest.mark.parametrize("foll", [Foll.GET, Foll.GET | Foll.WRITE])
def test_gup_fast_refuses_a_page_until_slow_gup_has_marked_it(foll: Foll) -> None:
    world, parent, buf = one_page(POLICY)
    mech = world.kernel.mech
    assert run(lockless_pages_from_mm(mech, parent.cpu, parent.mm, [buf], foll)) == []
    world.complete(parent.write_disk(buf))
    assert is_marked(parent.page(buf))
    held = run(lockless_pages_from_mm(mech, parent.cpu, parent.mm, [buf], foll))
    assert held == [parent.page(buf)]


def test_fork_copies_a_marked_page_and_the_parent_reuses() -> None:
    world, parent, buf = one_page(POLICY)
    parent.read_disk(buf)
    held = parent.page(buf)
    child = parent.fork()
    assert child.page(buf) is not held
    assert child.pte(buf).write
    assert parent.page(buf) is held
    assert not parent.pte(buf).write
    parent.store(buf, b"P")
    assert parent.page(buf) is held
    assert [event.fn for event in world.log(PageCopied)] == ["decow_one_pte"]
    world.kernel.check(at_rest=True)


def test_the_mark_is_sticky_so_fork_copies_when_the_io_is_long_over() -> None:
    world, parent, buf = one_page(POLICY)
    world.complete(parent.read_disk(buf))
    child = parent.fork()
    assert child.page(buf) is not parent.page(buf)
    assert not is_marked(child.page(buf))


def test_fork_shares_a_page_that_never_was_under_gup() -> None:
    _, parent, child, buf = two_mms(POLICY)
    assert child.page(buf) is parent.page(buf)


def test_a_read_gup_breaks_cow() -> None:
    world, parent, child, buf = two_mms(POLICY)
    write = parent.write_disk(buf)
    assert parent.page(buf) is not child.page(buf)
    assert not is_marked(child.page(buf))
    parent.store(buf, b"P")
    child.store(buf, b"C")
    assert world.device_reads(write) == b"P"
    assert world.kinds() == set()


def test_a_read_gup_without_vm_write_breaks_cow_and_returns() -> None:
    world, parent, child, buf = two_mms(POLICY)
    parent.mprotect(buf, PROT_READ)
    write = parent.write_disk(buf)
    assert parent.page(buf) is not child.page(buf)
    assert world.device_reads(write) == b"I"


@pytest.mark.parametrize("waits", [True, False])
def test_gup_fast_and_fork_do_not_miss_each_other(waits: bool) -> None:
    """Nor does it rely on the IPI that waits for gup-fast."""
    scenario = SCENARIOS["gup-fast-vs-fork"]
    found = explore(lambda: SimulatedWorld(scenario, POLICY, ipi_waits_for_gup_fast=waits))
    assert found.exhaustive
    assert found.verdicts == {}


def _register_and_fork(stage: Stage) -> Script:
    yield Register(stage.buf, PAGE_SIZE, True, "rdma")
    yield Fork("child")


def _store_three_times(stage: Stage) -> Script:
    yield Store(stage.buf + 8, b"0")  # a translation that stays
    yield Store(stage.buf, b"1")
    yield Store(stage.buf + PAGE_SIZE - 1, b"2")


TEARING = Scenario(
    "tearing",
    "fork of a held page, while another thread stores to its beginning and its end",
    map_and_fill,
    {"fork": _register_and_fork, "cpu": _store_three_times},
    {},
    "cpu fork cpu cpu",
)


@pytest.mark.parametrize(
    ("policy", "verdicts"), [(POLICY, {"torn-fork-copy"}), ("arcangeli-2009-v2", set())]
)
def test_write_protected_and_not_flushed_the_copy_tears(policy: str, verdicts: set[str]) -> None:
    found = explore(lambda: SimulatedWorld(TEARING, policy))
    assert found.exhaustive
    assert set(found.verdicts) == verdicts


def test_the_first_form_leaks_the_original_of_each_copy() -> None:
    world, parent, buf = one_page(f"{POLICY}:first")
    world.complete(parent.read_disk(buf))
    parent.fork()
    assert repr(parent.page(buf)) == "<pfn 0 2/1 PG_dontcow>"
    with pytest.raises(InvariantError) as caught:
        world.kernel.check(at_rest=True)
    assert caught.value.kind == "refcount-leak"
