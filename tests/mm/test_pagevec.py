"""LRU pagevecs: who refers to a fresh page, and until when."""

from __future__ import annotations

import pytest

from tests.common import Process, TinyWorld, run_steps
from uemu.abi import MADV_DONTNEED, PAGE_SIZE
from uemu.errors import InvariantError
from uemu.mm.ksm import MERGED, merge_pages
from uemu.mm.migrate import MIGRATED
from uemu.mm.page import Page
from uemu.mm.pagevec import PG_LRU, LruPagevecs
from uemu.mm.reclaim import FREED
from uemu.step import Cpu, run

POLICY = "linux-2.6.29"


def world_of(
    policy: str = POLICY, nr_pages: int = 1, *, pagevecs: bool = True
) -> tuple[TinyWorld, Process, int]:
    """A process that touched so many pages, on one CPU."""
    world = TinyWorld(policy, pagevecs=pagevecs)
    parent = world.process()
    buf = parent.mmap(nr_pages)
    parent.store(buf, b"I" * (nr_pages * PAGE_SIZE))
    return world, parent, buf


def pagevecs_of(world: TinyWorld) -> LruPagevecs:
    pagevecs = world.kernel.mech.pagevecs
    assert pagevecs is not None
    return pagevecs


def count(page: Page) -> int:
    return page.refcount.peek()


def test_off_a_page_is_nobodys_but_its_ptes() -> None:
    world, parent, buf = world_of(pagevecs=False)
    assert world.kernel.mech.pagevecs is None
    assert repr(parent.page(buf)) == "<pfn 0 1/1>"


def test_a_fresh_page_has_a_reference_more() -> None:
    world, parent, buf = world_of()
    assert repr(parent.page(buf)) == "<pfn 0 2/1>"
    assert pagevecs_of(world).refs() == {0: 1}
    world.kernel.check(at_rest=True)


def test_until_this_cpu_drains() -> None:
    world, parent, buf = world_of()
    pagevecs_of(world).lru_add_drain(parent.cpu)
    assert repr(parent.page(buf)) == f"<pfn 0 1/1 {PG_LRU}>"
    assert pagevecs_of(world).refs() == {}
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize(
    ("policy", "size"), [(POLICY, 14), ("linux-4.19", 15), ("linux-5.9", 15), ("linux-6.5", 15)]
)
def test_or_until_the_pagevec_is_full(policy: str, size: int) -> None:
    world, parent, buf = world_of(policy, size - 1)
    assert {count(parent.page(buf + nr * PAGE_SIZE)) for nr in range(size - 1)} == {2}
    more = parent.mmap()
    parent.store(more, b"x")
    assert {count(parent.page(buf + nr * PAGE_SIZE)) for nr in range(size - 1)} == {1}
    assert count(parent.page(more)) == 1
    assert pagevecs_of(world).refs() == {}
    world.kernel.check(at_rest=True)


def test_linux_2_4_has_none() -> None:
    world, parent, buf = world_of("linux-2.4-dio-pglock")
    assert world.kernel.mech.pagevecs is None
    assert count(parent.page(buf)) == 1


def test_a_cpu_drains_its_own_and_no_other() -> None:
    world, parent, buf = world_of(nr_pages=1)
    other = world.process(parent.mm)
    more = parent.mmap()
    other.store(more, b"x")
    pagevecs_of(world).lru_add_drain(other.cpu)
    assert (count(parent.page(buf)), count(parent.page(more))) == (2, 1)


def test_lru_add_drain_all_drains_every_cpu_one_after_the_other() -> None:
    world, parent, buf = world_of()
    other = world.process(parent.mm)
    more = parent.mmap()
    other.store(more, b"x")
    _, taken = run_steps(pagevecs_of(world).lru_add_drain_all(world.device))
    assert taken == ["lru_add_drain_all"] * 2
    assert (count(parent.page(buf)), count(parent.page(more))) == (1, 1)
    world.kernel.check(at_rest=True)


def test_it_waits_for_a_cpu_that_has_interrupts_off() -> None:
    world, parent, _ = world_of()
    op = pagevecs_of(world).lru_add_drain_all(world.device)
    parent.cpu.irqs_off.value = True
    step = next(op)
    assert not step.is_enabled()
    parent.cpu.irqs_off.value = False
    assert step.is_enabled()
    run(op)


@pytest.mark.parametrize("leave", ["munmap", "dontneed", "exit"])
def test_who_unmaps_drains_this_cpu_first(leave: str) -> None:
    world, parent, buf = world_of()
    if leave == "munmap":
        parent.munmap(buf)
    elif leave == "dontneed":
        parent.madvise(buf, MADV_DONTNEED)
    else:
        parent.exit()
    assert world.kernel.mech.pages == {}
    world.kernel.check(at_rest=True)


def test_a_page_that_waits_elsewhere_outlives_its_mapping() -> None:
    world, parent, buf = world_of()
    page = parent.page(buf)
    world.process(parent.mm).munmap(buf)
    assert repr(page) == "<pfn 0 1/0>"
    world.kernel.check(at_rest=True)
    pagevecs_of(world).lru_add_drain(parent.cpu)
    assert world.kernel.mech.pages == {}


def test_a_copy_waits_too_and_the_zero_page_does_not() -> None:
    world, parent, buf = world_of("linux-4.19")
    fresh = parent.mmap()
    parent.load(fresh)
    assert parent.page(fresh).reserved
    child = parent.fork()
    child.store(buf, b"C")
    assert pagevecs_of(world).refs() == {parent.page(buf).pfn: 1, child.page(buf).pfn: 1}
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("at_rest", [False, True])
def test_a_reference_of_a_pagevec_that_is_missing_is_noticed(at_rest: bool) -> None:
    world, parent, buf = world_of()
    parent.page(buf).refcount.value -= 1
    with pytest.raises(InvariantError) as caught:
        world.kernel.check(at_rest=at_rest)
    assert caught.value.kind == "refcount-leak"


def test_and_one_that_is_left_over() -> None:
    world, _, _ = world_of()
    pagevecs_of(world)._pvec(Cpu("parent.0")).value = ()
    with pytest.raises(InvariantError, match="0 references of others"):
        world.kernel.check(at_rest=True)


# Reclaim, migration, KSM ---------------------------------------------------------------------


@pytest.mark.parametrize(("here", "became"), [(True, FREED), (False, "it is not on the LRU list")])
def test_reclaim_drains_its_own_cpu_and_takes_what_is_on_the_lru(here: bool, became: str) -> None:
    world, parent, buf = world_of()
    cpu = parent.cpu if here else world.device
    assert run(world.kernel.swap_out(cpu, parent.mm, buf)) == became
    world.kernel.check(at_rest=True)


def test_a_page_that_is_read_from_swap_waits_anew() -> None:
    world, parent, buf = world_of()
    run(world.kernel.swap_out(parent.cpu, parent.mm, buf))
    assert parent.load(buf) == b"I"
    assert pagevecs_of(world).refs() == {parent.page(buf).pfn: 1}
    world.kernel.check(at_rest=True)


def test_migration_drains_every_cpu() -> None:
    world, parent, buf = world_of()
    assert run(world.kernel.migrate(world.device, parent.mm, buf)) == MIGRATED
    assert parent.load(buf) == b"I"
    world.kernel.check(at_rest=True)


def test_so_does_ksm_which_would_take_what_waits_for_held() -> None:
    world, parent, buf = world_of("linux-4.19", 2)
    first, second = (parent.mm, buf), (parent.mm, buf + PAGE_SIZE)
    undrained = run(merge_pages(world.kernel.mech, world.device, first, second))
    assert undrained == "the first stays: others refer to it"
    assert run(world.kernel.ksm_merge(world.device, first, second)) == MERGED
    world.kernel.check(at_rest=True)
