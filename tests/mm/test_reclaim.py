"""Reclaim: what becomes of a page, station by station, and how it comes back."""

from __future__ import annotations

import pytest

from tests.common import Process, TinyWorld, made_up, one_page, two_mms
from uemu.events import PageFreed
from uemu.explore import explore
from uemu.mm.pte import AnyPte, SwapEntry
from uemu.mm.reclaim import FREED
from uemu.scenario.actions import Load, Store, SwapOut
from uemu.scenario.script import Script, Stage
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op, Stuck, run

KSWAPD = Cpu("kswapd")


def swap_out(process: Process, addr: int) -> str:
    """Let reclaim have the frame at an address; what it says."""
    return run(process.world.kernel.swap_out(KSWAPD, process.mm, addr))


def entry(process: Process, addr: int) -> AnyPte:
    """The entry at an address."""
    return process.mm.ptes[addr].peek()


def at_rest(world: TinyWorld) -> None:
    """Nothing is under way, and every count is right."""
    world.kernel.check(at_rest=True)


def test_a_page_nobody_holds_is_freed_and_comes_back_in_another_frame() -> None:
    world, parent, buf = one_page()
    parent.store(buf + 7, b"x")
    before = parent.pte(buf).pfn
    assert swap_out(parent, buf) == FREED
    assert isinstance(entry(parent, buf), SwapEntry)
    assert [event.pfn for event in world.log(PageFreed)] == [before]
    at_rest(world)
    assert parent.load(buf + 6, 3) == b"IxI"
    assert parent.pte(buf).pfn != before
    assert not parent.pte(buf).write
    at_rest(world)
    parent.store(buf, b"y")
    assert parent.load(buf, 2) == b"yI"
    at_rest(world)


def test_a_store_that_comes_first_makes_the_entry_writable_and_frees_the_slot() -> None:
    world, parent, buf = one_page()
    swap_out(parent, buf)
    parent.store(buf, b"y")
    assert parent.pte(buf).write
    assert not world.kernel.mech.swap.slots
    assert parent.load(buf, 2) == b"yI"
    at_rest(world)


@pytest.mark.parametrize("write", [False, True])
def test_a_page_that_is_held_stays_cached_and_is_found_again(write: bool) -> None:
    world, parent, buf = one_page()
    before = parent.page(buf)
    transfer = parent.read_disk(buf, 512)
    assert swap_out(parent, buf) == "others refer to it"
    assert isinstance(entry(parent, buf), SwapEntry)
    at_rest(world)
    if write:
        parent.store(buf + 600, b"P")
    else:
        parent.load(buf)
    assert parent.page(buf) is before
    world.device_writes(transfer, b"D")
    world.complete(transfer)
    assert parent.load(buf) == b"D"
    assert not world.kinds()
    at_rest(world)


def test_the_holder_finds_a_cached_page_that_it_has_not_touched_since() -> None:
    world, parent, buf = one_page()
    transfer = parent.read_disk(buf, 512)
    swap_out(parent, buf)
    world.device_writes(transfer, b"D")
    world.complete(transfer)
    assert not world.kinds()
    assert parent.load(buf) == b"D"


def test_a_locked_page_and_one_that_is_gone_are_left_alone() -> None:
    world, parent, buf = one_page()
    page = parent.page(buf)
    page.locked.value = True
    assert swap_out(parent, buf) == "it is locked"
    page.locked.value = False
    assert swap_out(parent, buf) == FREED
    assert swap_out(parent, buf) == "nothing is mapped"
    at_rest(world)


def test_who_faults_waits_for_the_page_lock() -> None:
    world, parent, buf = one_page()
    parent.read_disk(buf, 512)
    page = parent.page(buf)
    swap_out(parent, buf)
    page.locked.value = True
    with pytest.raises(Stuck, match="lock_page"):
        run(world.kernel.fault(parent.cpu, parent.mm, buf, write=False))


@pytest.mark.parametrize(("locked", "told"), [(True, "it was locked again"), (False, FREED)])
def test_a_page_that_somebody_locks_while_it_is_written_is_kept(locked: bool, told: str) -> None:
    world, parent, buf = one_page()
    page = parent.page(buf)
    op = world.kernel.swap_out(KSWAPD, parent.mm, buf)
    while not page.writeback.peek():
        next(op)
    page.locked.value = locked
    assert run(op) == told
    page.locked.value = False
    at_rest(world)
    assert parent.load(buf) == b"I"
    assert (parent.page(buf) is page) == locked
    at_rest(world)


# Several address spaces


def test_a_shared_page_is_unmapped_from_all_and_comes_back_to_each() -> None:
    world, parent, child, buf = two_mms()
    assert swap_out(parent, buf) == FREED
    assert isinstance(entry(parent, buf), SwapEntry)
    assert entry(child, buf) == entry(parent, buf)
    at_rest(world)
    child.store(buf, b"C")
    at_rest(world)
    assert parent.load(buf, 2) == b"II"
    assert child.load(buf, 2) == b"CI"
    parent.store(buf, b"P")
    assert child.load(buf) == b"C"
    at_rest(world)


def test_fork_shares_an_entry_and_each_end_gives_its_share_back() -> None:
    world, parent, buf = one_page()
    swap_out(parent, buf)
    child = parent.fork()
    at_rest(world)
    child.exit()
    at_rest(world)
    assert parent.load(buf) == b"I"
    grandchild = parent.fork()
    parent.munmap(buf)
    at_rest(world)
    grandchild.exit()
    assert not world.kernel.mech.swap.slots
    at_rest(world)


def test_the_last_to_give_an_entry_up_takes_the_cached_page_with_it() -> None:
    world, parent, buf = one_page()
    transfer = parent.write_disk(buf, 512)
    swap_out(parent, buf)
    parent.munmap(buf)
    assert not world.kernel.mech.swap.slots
    assert world.kernel.mech.pages
    world.complete(transfer)
    assert not world.kernel.mech.pages
    at_rest(world)


# Every order of events


def _reader(stage: Stage) -> Script:
    yield Load(stage.buf, 1)


def _writer(stage: Stage) -> Script:
    yield Store(stage.buf, b"P")


def _kswapd(stage: Stage) -> Script:
    yield SwapOut(stage.buf)


@pytest.mark.parametrize("policy", ["linux-2.6.29", "linux-5.9", "linux-5.11", "linux-5.19"])
def test_faults_and_reclaim_lose_nothing_in_any_order(policy: str) -> None:
    scenario = made_up("kswapd cpu", cpu=_writer, kswapd=_kswapd)
    result = explore(lambda: SimulatedWorld(scenario, policy))
    assert result.exhaustive
    assert result.verdicts == {}
    assert result.schedules >= 4


def test_two_faults_on_one_entry_read_the_slot_once() -> None:
    def setup_out(stage: Stage) -> Script:
        yield SwapOut(stage.buf)
        yield Load(stage.buf, 1)

    scenario = made_up("a a b", a=setup_out, b=_reader)
    result = explore(lambda: SimulatedWorld(scenario, "linux-2.6.29"))
    assert result.exhaustive
    assert result.verdicts == {}


def test_without_the_flush_a_store_goes_to_the_frame_that_is_freed() -> None:
    class Unflushed(SimulatedWorld):
        def __init__(self) -> None:
            super().__init__(made_up("kswapd cpu", cpu=_writer, kswapd=_kswapd), "linux-2.6.29")
            self.kernel.mech.flush_tlb_range = _no_flush  # type: ignore[method-assign]

    result = explore(Unflushed, wanted="lost-store")
    assert "lost-store" in result.verdicts


def _no_flush(cpu: Cpu, mm: object, start: int, end: int) -> Op[None]:
    return
    yield
