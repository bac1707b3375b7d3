"""A huge page becomes small ones: for reclaim, KSM and migration, unless it is held."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.common import Process, TinyWorld
from tests.mm.test_compound import HPAGE
from tests.mm.test_thp import WITH_THP, is_huge, thp
from uemu.abi import PAGE_SIZE
from uemu.events import PageFreed
from uemu.mm.ksm import MERGED
from uemu.mm.migrate import MIGRATED
from uemu.mm.page import page_count, page_mapcount
from uemu.mm.reclaim import FREED
from uemu.mm.split import HELD
from uemu.scenario.actions import HPAGE_NR
from uemu.step import Cpu, Op, run


def swap_out(world: TinyWorld, process: Process, addr: int) -> str:
    """Reclaim wants a page."""
    return run(world.kernel.swap_out(Cpu("kswapd"), process.mm, addr))


def migrate(world: TinyWorld, process: Process, addr: int) -> str:
    """A page is to move."""
    return run(world.kernel.migrate(Cpu("migrate"), process.mm, addr))


def ksm_merge(world: TinyWorld, process: Process, addr: int) -> str:
    """Two neighbours have the same bytes."""
    places = (process.mm, addr), (process.mm, addr + PAGE_SIZE)
    return run(world.kernel.ksm_merge(Cpu("ksmd"), *places))


Want = Callable[[TinyWorld, Process, int], str]

DONE: dict[Want, str] = {swap_out: FREED, migrate: MIGRATED, ksm_merge: MERGED}


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("want", DONE)
@pytest.mark.parametrize("policy", WITH_THP)
def test_what_nobody_holds_is_split_and_one_page_of_it_goes(
    policy: str, want: Want, at: int
) -> None:
    world, parent, buf = thp(policy)
    frames = [parent.pte(buf + i * PAGE_SIZE).pfn for i in range(HPAGE_NR)]
    assert want(world, parent, buf + at * PAGE_SIZE) == DONE[want]
    assert not is_huge(parent, buf)
    last = buf + (HPAGE_NR - 1) * PAGE_SIZE
    page = parent.page(last)
    assert (page.pfn, page.head, page.nr, page.pincount) == (frames[-1], page, 1, None)
    assert (page_count(parent.cpu, page), page_mapcount(parent.cpu, page)) == (1, 1)
    assert not any(each.locked.peek() for each in world.kernel.mech.pages.values())
    world.kernel.check(at_rest=True)
    assert parent.load(buf, HPAGE) == b"I" * HPAGE
    parent.store(buf, b"P" * HPAGE)
    parent.exit()
    left = world.kernel.mech.pages.values()
    assert all(page.swap.peek() is not None for page in left), "but in the swap cache"
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("api", ["o_direct", "rdma"])
@pytest.mark.parametrize("want", DONE)
@pytest.mark.parametrize("policy", WITH_THP)
def test_what_anybody_holds_a_part_of_stays(policy: str, want: Want, api: str) -> None:
    """Under 4.19 too, which unmaps and swaps a small page that is held."""
    world, parent, buf = thp(policy)
    held = buf + 2 * PAGE_SIZE
    pfn = parent.pte(held).pfn
    if api == "rdma":
        parent.register(held)
    else:
        parent.read_disk(held)
    answer = want(world, parent, buf)
    assert answer.endswith(HELD)
    assert parent.pte(held).pfn == pfn
    assert is_huge(parent, buf)
    assert not parent.page(buf).locked.peek()
    world.kernel.check(at_rest=True)


def test_what_two_share_is_split_for_both() -> None:
    world, parent, buf = thp("linux-6.5")
    child = parent.fork()
    parent.store(buf + PAGE_SIZE, b"P")
    assert (is_huge(parent, buf), is_huge(child, buf)) == (False, True)
    assert migrate(world, child, buf) == MIGRATED
    assert not is_huge(child, buf)
    assert child.page(buf) is parent.page(buf)
    assert page_mapcount(parent.cpu, parent.page(buf + PAGE_SIZE)) == 1
    assert (child.load(buf + PAGE_SIZE), parent.load(buf + PAGE_SIZE)) == (b"I", b"P")
    world.kernel.check(at_rest=True)


def test_a_page_that_no_entry_maps_any_more_is_freed_by_the_split() -> None:
    """Until then it waits for the rest: the kernel has a queue of such pages."""
    world, parent, buf = thp("linux-5.11")
    parent.munmap(buf + PAGE_SIZE)
    assert world.log(PageFreed) == []
    assert migrate(world, parent, buf + 2 * PAGE_SIZE) == MIGRATED
    assert len(world.log(PageFreed)) == 2, "it, and the frame of the one that moved"
    world.kernel.check(at_rest=True)


def test_each_page_stays_exclusive() -> None:
    world, parent, buf = thp("linux-5.19")
    assert migrate(world, parent, buf) == MIGRATED
    assert all(parent.page(buf + i * PAGE_SIZE).anon_exclusive.peek() for i in range(HPAGE_NR))
    child = parent.fork()
    assert migrate(world, parent, buf) == MIGRATED
    assert not child.page(buf).anon_exclusive.peek()


def stop_before_the_count(op: Op[str]) -> None:
    """Run a migration to where every entry is a migration entry."""
    for step in op:
        if step.what == "page_ref_freeze":
            return
    pytest.fail("it was not split")


def test_who_comes_while_it_is_split_waits() -> None:
    """And gup-fast, which does not, finds nothing to hold."""
    world, parent, buf = thp("linux-5.11")
    op = world.kernel.migrate(Cpu("migrate"), parent.mm, buf)
    stop_before_the_count(op)
    foll = world.hooks.gup_kind("o_direct", write=True).foll
    assert run(world.hooks.gup_fast_pte(parent.cpu, parent.mm, buf, foll)) is None
    fault = world.kernel.fault(parent.cpu, parent.mm, buf, write=True)
    waits = next(step for step in fault if not step.is_enabled())
    assert waits.fn == "migration_entry_wait"
    assert run(op) == MIGRATED
    run(fault)
    assert parent.load(buf) == b"I"


def test_a_reference_that_comes_in_the_middle_of_it_is_seen() -> None:
    """gup-fast had the entry before it was replaced; the count is asked last."""
    world, parent, buf = thp("linux-4.19")
    op = world.kernel.migrate(Cpu("migrate"), parent.mm, buf)
    stop_before_the_count(op)
    head = world.kernel.mech.pages[0]
    world.kernel.mech.get_page(parent.cpu, head)
    assert run(op) == HELD
    assert parent.page(buf) is head
    assert head.nr == HPAGE_NR
    assert not is_huge(parent, buf), "its entries stay split"
    assert parent.load(buf) == b"I"
    world.kernel.check(at_rest=False)


def test_a_fork_in_the_middle_gives_the_child_no_entry_that_waits_for_ever() -> None:
    """It copied a migration entry when the walk had looked for them already."""
    world, parent, buf = thp("linux-5.11")
    op = world.kernel.migrate(Cpu("migrate"), parent.mm, buf + PAGE_SIZE)
    next(step for step in op if step.fn == "remove_migration_pte")
    child = parent.fork()
    assert run(op) == MIGRATED
    assert child.load(buf, HPAGE) == parent.load(buf, HPAGE) == b"I" * HPAGE
    world.kernel.check(at_rest=True)
