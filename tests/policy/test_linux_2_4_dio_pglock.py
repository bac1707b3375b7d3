"""linux-2.4-dio-pglock: PG_locked from submission to end_io, and who asks for it."""

from __future__ import annotations

import os
import signal

import pytest

import uemu
from tests.common import made_up, one_page
from tests.live.processes import Watch
from tests.mm.test_reclaim import swap_out
from tests.policy.test_linux_2_6_7 import RECLAIM
from uemu.abi import PAGE_SIZE, Direction
from uemu.explore import explore
from uemu.mm.lock_hooks import LockHooks
from uemu.mm.page import Page, page_mapcount
from uemu.policy.linux_2_4_dio_pglock import Linux2_4DioPglock
from uemu.scenario.actions import Complete, DirectRead
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import SECTOR, Script, Stage
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Stuck, run

POLICY = "linux-2.4-dio-pglock"


def is_locked(page: Page) -> bool:
    return "PG_locked" in page.flags_set()


def test_direct_io_has_its_pages_locked_until_it_is_over() -> None:
    world, parent, buf = one_page(POLICY)
    page = parent.page(buf)
    read = parent.read_disk(buf)
    assert is_locked(page)
    world.device_writes(read, b"D")
    assert is_locked(page)
    world.complete(read)
    assert not is_locked(page)


@pytest.mark.parametrize("api", ["vmsplice"])
def test_nobody_else_locks(api: str) -> None:
    world, parent, buf = one_page(POLICY)
    parent.write_disk(buf, api=api)
    parent.register(buf)
    assert not is_locked(parent.page(buf))
    world.complete(parent.read_disk(buf))


def test_a_page_that_is_in_two_pieces_of_a_buffer_is_locked_once() -> None:
    world, parent, buf = one_page(POLICY)
    iov = [(buf, SECTOR), (buf + SECTOR, SECTOR)]
    way = Direction.FROM_DEVICE
    op = world.kernel.io.dio_submit(parent.cpu, parent.mm, iov, way, "o_direct")
    world.complete(run(op))
    assert not is_locked(parent.page(buf))
    world.kernel.check(at_rest=True)


def test_a_second_io_over_the_page_waits_and_one_over_another_does_not() -> None:
    world, parent, _ = one_page(POLICY)
    buf = parent.mmap(2)
    parent.store(buf, b"I" * 2 * PAGE_SIZE)
    first = parent.read_disk(buf, SECTOR)
    parent.read_disk(buf + PAGE_SIZE, SECTOR)
    with pytest.raises(Stuck, match=r"lock_page: pfn \d"):
        parent.write_disk(buf + SECTOR, SECTOR)
    world.complete(first)
    parent.write_disk(buf + SECTOR, SECTOR)


def test_who_waits_for_one_of_its_pages_has_none_of_the_others() -> None:
    _, parent, _ = one_page(POLICY)
    buf = parent.mmap(2)
    parent.store(buf, b"I" * 2 * PAGE_SIZE)
    parent.read_disk(buf + PAGE_SIZE, SECTOR)
    with pytest.raises(Stuck):
        parent.read_disk(buf, 2 * PAGE_SIZE)
    assert not is_locked(parent.page(buf))


def _first(stage: Stage) -> Script:
    read = yield DirectRead(stage.buf, SECTOR)
    yield Complete(read, b"D" * SECTOR)


def _second(stage: Stage) -> Script:
    read = yield DirectRead(stage.buf + SECTOR, SECTOR)
    yield Complete(read, b"E" * SECTOR)


TWO_READS = made_up("first second first second", first=_first, second=_second)


def test_told_in_order_the_second_goes_on_when_the_first_is_over() -> None:
    assert simulate(TWO_READS, POLICY).kinds == {"fork-blocked"}
    assert simulate(TWO_READS, "linux-2.6.7").kinds == set()


def test_in_no_order_anything_else_comes_of_it() -> None:
    found = explore(lambda: SimulatedWorld(TWO_READS, POLICY))
    assert found.exhaustive
    assert found.verdicts == {}


@pytest.mark.needs_ptrace
def test_who_is_killed_while_it_waits_gives_its_references_back() -> None:
    with uemu.Machine(POLICY) as machine:
        parent = machine.spawn()
        buf = parent.mmap(PAGE_SIZE)
        parent.store(buf, b"I")
        shared = machine.frame_of(parent, buf)
        assert shared is not None
        child = parent.fork()
        write = machine.dma.start(parent, buf, SECTOR, direction=uemu.DMA_TO_DEVICE)
        with pytest.raises(uemu.Blocked, match="lock_page: pfn 0"):
            machine.dma.start(child, buf, SECTOR, direction=uemu.DMA_TO_DEVICE)
        os.kill(child.pid, signal.SIGKILL)
        Watch([child.pid]).ended()
        write.complete()
        assert machine.page(shared).refcount == 1
        machine.check()


def test_reclaim_skips_what_is_locked_and_sees_no_other_reference() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    assert swap_out(parent, buf) == "it is locked"
    world.complete(read)
    held = parent.page(buf)
    parent.write_disk(buf, api="vmsplice")
    assert swap_out(parent, buf) == "others refer to it"
    parent.store(buf, b"P")
    assert parent.page(buf) is not held


class ReclaimGetsIt(Linux2_4DioPglock):
    """The 2.4 bug: direct I/O locks nothing, and reclaim unmaps what it holds."""

    io_pages_held = LockHooks.io_pages_held
    io_pages_done = LockHooks.io_pages_done


@pytest.mark.parametrize(
    ("policy", "kinds"), [(Linux2_4DioPglock, set()), (ReclaimGetsIt, {"lost-dma-write"})]
)
def test_it_is_the_lock_that_keeps_reclaim_off(
    policy: type[Linux2_4DioPglock], kinds: set[str]
) -> None:
    assert simulate(RECLAIM, policy()).kinds == kinds


# Either of the two reasons to copy is enough -----------------------------------------------


class MapcountUnderTheLock(Linux2_4DioPglock):
    """can_share_swap_page() counts entries only; a page under I/O is locked."""

    def can_share_swap_page(self, cpu: Cpu, page: Page) -> bool:
        return page_mapcount(cpu, page) == 1


class MapcountAlone(MapcountUnderTheLock):
    """And direct I/O locks nothing."""

    io_pages_held = LockHooks.io_pages_held
    io_pages_done = LockHooks.io_pages_done


class NobodyAsksForTheLock(MapcountUnderTheLock):
    """And do_wp_page() does not look whether the page is locked."""

    def may_reuse(self, cpu: Cpu, page: Page) -> bool:
        return self.can_share_swap_page(cpu, page)


@pytest.mark.parametrize(
    ("policy", "kinds"),
    [
        (Linux2_4DioPglock, set()),
        (MapcountUnderTheLock, set()),
        (MapcountAlone, {"foreign-dma-read"}),
        (NobodyAsksForTheLock, {"foreign-dma-read"}),
    ],
)
@pytest.mark.parametrize("scenario", ["reverse-race", "ro-pin-then-fork"])
def test_the_lock_or_the_count_keeps_the_child_off(
    policy: type[Linux2_4DioPglock], kinds: set[str], scenario: str
) -> None:
    assert simulate(SCENARIOS[scenario], policy()).kinds == kinds


@pytest.mark.parametrize(
    ("policy", "kinds"), [(MapcountUnderTheLock, {"lost-dma-write"}), (MapcountAlone, set())]
)
def test_and_the_lock_alone_loses_a_read_that_nobody_shares(
    policy: type[Linux2_4DioPglock], kinds: set[str]
) -> None:
    assert simulate(SCENARIOS["child-exits-first"], policy()).kinds == kinds


class ReadsDoNotWait(Linux2_4DioPglock):
    """Direct I/O takes a page whoever has it locked."""

    io_pages_held = LockHooks.io_pages_held
    io_pages_done = LockHooks.io_pages_done


def test_without_the_wait_nobody_waits() -> None:
    assert simulate(TWO_READS, ReadsDoNotWait()).kinds == set()
