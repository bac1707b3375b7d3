"""kara-2021-unmap-if-not-pinned: write_protect_seq with several writers, in three readings.

Where two write it, reclaim is too long to run in every order. What stands in
for it there is the one step of it that the proposal is about: raise the
counter, look for pins, unmap if there are none, lower it; the page comes back
as a copy at once, as if from swap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.common import one_page, run_steps
from uemu.abi import PAGE_MASK, PAGE_SIZE, Foll
from uemu.explore import Exploration, explore
from uemu.mm.gup import lockless_pages_from_mm
from uemu.mm.hooks import PolicyHooks
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, page_maybe_dma_pinned
from uemu.mm.pte import Pte
from uemu.mm.reclaim import shrink_page
from uemu.policy.kara_2021_unmap_if_not_pinned import Kara2021UnmapIfNotPinned
from uemu.policy.linux_5_11 import WRITE_PROTECT_SEQ, Linux5_11
from uemu.policy.registry import make_policy
from uemu.scenario.actions import (
    Action,
    DeviceStores,
    Load,
    Register,
    Release,
    Store,
    SwapOut,
)
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill
from uemu.scenario.tasks import Task
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op, Step, run

POLICY = "kara-2021-unmap-if-not-pinned"
FAST_PIN = Foll.PIN | Foll.LONGTERM | Foll.WRITE
LOST = "lost-dma-write"


@pytest.mark.parametrize("variant", ["", ":plain", ":serialised"])
def test_with_fork_alone_to_write_it_the_counter_is_that_of_5_11(variant: str) -> None:
    _, parent, _ = one_page(POLICY + variant)
    parent.fork()
    assert parent.mm.extra(WRITE_PROTECT_SEQ).peek() == 2
    for rule in ("gup_fast_begin", "gup_fast_end", "copy_present_pte", "do_wp_page"):
        assert getattr(Kara2021UnmapIfNotPinned, rule) is getattr(Linux5_11, rule)


def test_a_plain_increment_is_a_load_and_a_store() -> None:
    for variant, steps in (("", 1), (":plain", 2), (":serialised", 3)):
        world, parent, _ = one_page(POLICY + variant)
        assert isinstance(world.hooks, Kara2021UnmapIfNotPinned)
        begin = world.hooks.write_protect_begin(parent.cpu, parent.mm, "try_to_unmap_one")
        assert run_steps(begin)[1] == ["try_to_unmap_one"] * steps


@pytest.mark.parametrize(
    ("variant", "seq", "pins"), [("", 2, 1), (":plain", 1, 0), (":serialised", 1, 0)]
)
def test_two_writers_at_a_time(variant: str, seq: int, pins: int) -> None:
    """Two whole increments are even; one of two plain ones is lost; serialised, one waits."""
    world, parent, buf = one_page(POLICY + variant)
    assert isinstance(world.hooks, Kara2021UnmapIfNotPinned)
    first = world.hooks.write_protect_begin(parent.cpu, parent.mm, "copy_page_range")
    second = world.hooks.write_protect_begin(world.device, parent.mm, "try_to_unmap_one")
    steps = [next(first), next(second)]
    ops = [first, second]
    for _ in range(6):  # turn by turn
        for i, op in enumerate(ops):
            if steps[i].is_enabled():
                steps[i] = next(op, steps[i])
    assert parent.mm.extra(WRITE_PROTECT_SEQ).peek() == seq
    pages = lockless_pages_from_mm(world.kernel.mech, parent.cpu, parent.mm, [buf], FAST_PIN)
    assert len(run(pages)) == pins


# Unmap if not pinned, in every order ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unmap:
    """Unmap the page at ``addr`` if it is not pinned, and let it come back as a copy."""

    addr: int


@dataclass(frozen=True, slots=True)
class RaiseSeqcount:
    """Raise the counter for a moment, for another page of the mm."""


class UnmappingWorld(SimulatedWorld):
    """A simulated world whose scripts may yield the two above."""

    def perform(self, task: Task, action: Action) -> Op[Any]:
        """As ever, or reclaim."""
        hooks = self.kernel.hooks
        assert isinstance(hooks, Linux5_11)
        if isinstance(action, Unmap):
            return self._walk(hooks, task, action.addr & PAGE_MASK)
        if isinstance(action, RaiseSeqcount):
            return self._raise(hooks, task)
        return super().perform(task, action)

    def _raise(self, hooks: Linux5_11, task: Task) -> Op[None]:
        yield from hooks.write_protect_begin(task.cpu, task.mm, "try_to_unmap_one")
        yield from hooks.write_protect_end(task.cpu, task.mm, "try_to_unmap_one")

    def _walk(self, hooks: Linux5_11, task: Task, base: int) -> Op[None]:
        yield from hooks.write_protect_begin(task.cpu, task.mm, "try_to_unmap_one")
        yield from self._unmap(task.cpu, task.mm, base)
        yield from hooks.write_protect_end(task.cpu, task.mm, "try_to_unmap_one")

    def _unmap(self, cpu: Cpu, mm: MmStruct, base: int) -> Op[None]:
        mech, lock = self.kernel.mech, mm.page_table_lock
        yield lock.step("try_to_unmap_one", "may be pinned ?")
        lock.enter(cpu)
        pte = cpu.read(mm.pte(base))
        assert isinstance(pte, Pte)
        page = mech.page_of(pte)
        if page_maybe_dma_pinned(cpu, page):
            return
        lock.acquire(cpu)
        yield Step("ptep_clear_flush", "clear the entry")
        mech.ptep_get_and_clear(cpu, mm, base)
        yield from mech.flush_tlb_range(cpu, mm, base, base + PAGE_SIZE)
        new = mech.alloc_page(cpu, base)
        mech.copy_page(cpu, mm, base, new, page, "do_swap_page")
        mech.page_add_new_anon_rmap(cpu, new)
        mech.set_pte_at(cpu, mm, base, Pte(new.pfn, True, True))
        mech.page_remove_rmap(cpu, page)
        mech.put_page(cpu, page)
        lock.release(cpu)


class Unraised(Linux5_11):
    """Reclaim looks for pins and unmaps, as in the rmap walk, and raises nothing."""

    def write_protect_begin(self, cpu: Cpu, mm: MmStruct, fn: str) -> Op[None]:
        if fn != "try_to_unmap_one":
            yield from super().write_protect_begin(cpu, mm, fn)

    def write_protect_end(self, cpu: Cpu, mm: MmStruct, fn: str) -> Op[None]:
        if fn != "try_to_unmap_one":
            yield from super().write_protect_end(cpu, mm, fn)


def _one_page(stage: Stage) -> Script:
    yield from map_and_fill(stage, nr_pages=1)


def _pin(stage: Stage) -> Script:
    memory = yield Register(stage.buf, 512, writable=True, api="rdma")
    yield DeviceStores(memory, 1, b"D")
    yield Release(memory)


def _unmap(stage: Stage) -> Script:
    yield Unmap(stage.buf)  # type: ignore[misc]


def _raise_seqcount(stage: Stage) -> Script:
    yield RaiseSeqcount()  # type: ignore[misc]


def explored(
    policy: PolicyHooks, wanted: str = "", **others: Callable[[Stage], Script]
) -> Exploration:
    """Pin a page while it is unmapped, and whatever else."""
    threads = {"io": _pin, "reclaim": _unmap, **others}
    scenario = Scenario("unmap-vs-pin", "made up", _one_page, threads, {}, "")
    return explore(lambda: UnmappingWorld(scenario, policy), wanted=wanted or None)


def test_a_look_for_pins_that_raises_nothing_races_with_gup_fast() -> None:
    assert LOST in explored(Unraised(), LOST).verdicts


@pytest.mark.parametrize("variant", ["", ":plain", ":serialised"])
def test_with_the_counter_raised_it_does_not(variant: str) -> None:
    found = explored(make_policy(POLICY + variant))
    assert found.exhaustive
    assert found.verdicts == {}


@pytest.mark.parametrize(
    ("variant", "closed"), [("", False), (":plain", False), (":serialised", True)]
)
def test_with_a_second_writer_it_does_again_unless_writers_wait(variant: str, closed: bool) -> None:
    found = explored(make_policy(POLICY + variant), "" if closed else LOST, other=_raise_seqcount)
    if closed:
        assert found.exhaustive
        assert found.verdicts == {}
    else:
        assert LOST in found.verdicts


def test_lost_plain_increments_leave_the_counter_odd_for_ever() -> None:
    world, parent, buf = one_page(f"{POLICY}:plain")
    hooks = world.hooks
    assert isinstance(hooks, Kara2021UnmapIfNotPinned)
    for cpu in (parent.cpu, world.device):
        run(hooks.write_protect_begin(cpu, parent.mm, "try_to_unmap_one"))
    ends = [
        hooks.write_protect_end(cpu, parent.mm, "try_to_unmap_one")
        for cpu in (parent.cpu, world.device)
    ]
    for _ in range(3):
        for end in ends:
            next(end, None)
    assert parent.mm.extra(WRITE_PROTECT_SEQ).peek() == 3
    pages = lockless_pages_from_mm(world.kernel.mech, parent.cpu, parent.mm, [buf], FAST_PIN)
    assert run(pages) == []


# The reclaim of this kernel --------------------------------------------------------------------


def _reclaim(stage: Stage) -> Script:
    """Swapped out and in again to read: the next store asks page_count."""
    yield SwapOut(stage.buf)
    yield Load(stage.buf, 1)
    yield Store(stage.buf, b"P")


PIN_VS_RECLAIM = Scenario(
    "one-store-after-reclaim", "made up", _one_page, {"io": _pin, "reclaim": _reclaim}, {}, ""
)


class LooksBeforeTheWalk(Kara2021UnmapIfNotPinned):
    """Reclaim looks for pins where 5.11 does, and not in the walk."""

    may_add_to_swap = Linux5_11.may_add_to_swap

    def may_unmap(self, cpu: Cpu, mm: MmStruct, page: Page) -> bool:
        return True


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        (make_policy("linux-5.11"), {LOST}),
        (make_policy("hubbard-2021-locked-pages:fixed"), {LOST}),
        (LooksBeforeTheWalk(), {LOST}),
    ],
    ids=["linux-5.11", "hubbard", "looks before the walk"],
)
def test_a_look_before_the_walk_races_with_gup_fast(
    policy: PolicyHooks, verdicts: set[str]
) -> None:
    found = explore(lambda: SimulatedWorld(PIN_VS_RECLAIM, policy), wanted=LOST)
    assert set(found.verdicts) == verdicts


@pytest.mark.slow
def test_unmap_if_not_pinned_does_not() -> None:
    """As far as the others show it; every order is run for claim C28."""
    found = explore(lambda: SimulatedWorld(PIN_VS_RECLAIM, POLICY), max_preemptions=2)
    assert found.complete
    assert found.verdicts == {}


def test_reclaim_raises_the_counter_around_each_mm() -> None:
    world, parent, buf = one_page(POLICY)
    parent.fork()
    page, before = parent.page(buf), parent.mm.extra(WRITE_PROTECT_SEQ).peek()
    run(shrink_page(world.kernel.mech, world.device, page))
    assert parent.mm.extra(WRITE_PROTECT_SEQ).peek() == before + 2
    assert page.mapcount.peek() == 0


def test_what_is_found_pinned_in_the_walk_stays_mapped() -> None:
    world, parent, buf = one_page(POLICY)
    page = parent.page(buf)
    reclaim = shrink_page(world.kernel.mech, world.device, page)
    while next(reclaim).fn != "add_to_swap":
        pass
    parent.register(buf)
    run(reclaim)
    assert parent.page(buf) is page
    assert page.swap.peek() is not None
    world.kernel.check(at_rest=True)
