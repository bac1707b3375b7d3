"""kosaki-2009-directio-sem: who takes the semaphore, and until when; its mutants."""

from __future__ import annotations

import errno

import pytest

from tests.common import one_page, run_steps
from tests.policy.io_and_fork import (
    AIO_READ,
    AIO_READ_VS_FORK,
    PIPE,
    READ_VS_FORK,
    REGISTERED,
    UNTOUCHED_READ_VS_FORK,
)
from uemu.abi import PAGE_SIZE, Direction, Foll
from uemu.errors import Fault
from uemu.explore import explore
from uemu.mm.hooks import PolicyHooks
from uemu.mm.lock_hooks import LockHooks
from uemu.mm.mm_struct import MmStruct
from uemu.policy.kosaki_2009_directio_sem import Kosaki2009DirectioSem
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op, Step, run

POLICY = "kosaki-2009-directio-sem"


@pytest.mark.parametrize("aio", [False, True])
def test_direct_io_holds_it_until_its_call_returns(aio: bool) -> None:
    world, parent, buf = one_page(POLICY)
    sem = parent.mm.sem("directio_sem")
    op = world.kernel.io.dio_submit(
        parent.cpu, parent.mm, [(buf, 512)], Direction.FROM_DEVICE, "o_direct", aio=aio
    )
    read, taken = run_steps(op)
    # Before the lookup: gup-fast looks when fork no longer can.
    assert taken[:2] == ["__blockdev_direct_IO", "get_user_pages_fast"]
    assert sem.is_free() is aio
    world.complete(read)
    assert sem.is_free()


@pytest.mark.parametrize("aio", [False, True])
def test_direct_io_that_is_refused_gives_it_back(aio: bool) -> None:
    world, parent, buf = one_page(POLICY)
    iov = [(buf, 512), (buf + 8 * PAGE_SIZE, 512)]
    with pytest.raises(Fault) as caught:
        run(
            world.kernel.io.dio_submit(
                parent.cpu, parent.mm, iov, Direction.FROM_DEVICE, "o_direct", aio=aio
            )
        )
    assert caught.value.errno == errno.EFAULT
    assert parent.mm.sem("directio_sem").is_free()
    parent.fork()


def test_nobody_else_takes_it() -> None:
    _, parent, buf = one_page(POLICY)
    parent.write_disk(buf, 512, api="vmsplice")
    parent.register(buf)
    assert parent.mm.sem("directio_sem").is_free()


def test_fork_takes_it_before_mmap_sem_and_the_child_has_its_own() -> None:
    world, parent, buf = one_page(POLICY)
    op = world.kernel.fork(parent.cpu, parent.mm)
    waits = [step.what for step in op]
    assert waits[:3] == [
        "queue: directio_sem for writing",
        "directio_sem for writing",
        "mmap_sem for writing",
    ]
    child = parent.fork()
    read = child.read_disk(buf, 512)
    parent.fork("another")
    world.complete(read)


def test_io_that_comes_when_fork_is_queued_waits_for_fork() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf, 512)
    fork = world.kernel.fork(parent.cpu, parent.mm)
    next(fork)
    next(fork)
    way = Direction.TO_DEVICE
    second = world.kernel.io.dio_submit(
        world.cpu_of(parent.mm), parent.mm, [(buf, 512)], way, "o_direct"
    )
    label = next(second)
    assert not label.is_enabled()
    world.complete(read)
    assert not label.is_enabled()
    run(fork)
    assert label.is_enabled()


@pytest.mark.parametrize("told", [READ_VS_FORK, UNTOUCHED_READ_VS_FORK])
def test_gup_and_fork_exclude_each_other(told: Scenario) -> None:
    found = explore(lambda: SimulatedWorld(told, POLICY))
    assert found.exhaustive
    assert found.verdicts == {}


LOST = {"dma-write-seen-by-other", "lost-dma-write"}


@pytest.mark.parametrize(
    ("told", "kinds"), [(AIO_READ, LOST), (PIPE, {"secret-leak"}), (REGISTERED, LOST)]
)
def test_what_it_does_not_cover_is_as_in_2_6_29(told: Scenario, kinds: set[str]) -> None:
    assert simulate(told, POLICY).kinds == kinds == simulate(told, "linux-2.6.29").kinds


def test_aio_may_be_lost_in_other_orders_too() -> None:
    found = explore(lambda: SimulatedWorld(AIO_READ_VS_FORK, POLICY))
    assert found.exhaustive
    assert set(found.verdicts) == LOST


# Mutants -----------------------------------------------------------------------------------


class IoTakesNothing(Kosaki2009DirectioSem):
    """__blockdev_direct_IO as it was."""

    io_begin = LockHooks.io_begin
    io_return = LockHooks.io_return
    io_end = LockHooks.io_end


class ForkTakesNothing(Kosaki2009DirectioSem):
    """dup_mmap as it was."""

    fork_begin = LockHooks.fork_begin
    fork_end = LockHooks.fork_end


class NeverGivenBack(Kosaki2009DirectioSem):
    """No up_read() after direct_io_worker()."""

    io_return = LockHooks.io_return
    io_end = LockHooks.io_end


class ForkNeverGivesBack(Kosaki2009DirectioSem):
    """No up_write() at the end of dup_mmap()."""

    fork_end = LockHooks.fork_end


class ForkTakesItSecond(ForkTakesNothing):
    """dup_mmap() takes mmap_sem first."""

    def copy_page_range_begin(self, cpu: Cpu, src: MmStruct) -> Op[None]:
        yield from src.sem("directio_sem").write(cpu, "dup_mmap", "directio_sem for writing")

    def copy_page_range_end(self, cpu: Cpu, src: MmStruct) -> Op[None]:
        yield Step("dup_mmap", "up_write")
        src.sem("directio_sem").up_write(cpu)


class LooksUpFirst(Kosaki2009DirectioSem):
    """down_read() comes when the pages are held."""

    io_begin = LockHooks.io_begin

    def gup_fast_end(self, cpu: Cpu, mm: MmStruct, foll: Foll, token: int) -> Op[bool]:
        sem = mm.sem("directio_sem")
        yield sem.read_step("__blockdev_direct_IO", "directio_sem for reading")
        sem.down_read(cpu)
        return True


@pytest.mark.parametrize(
    ("mutant", "scenario", "kind"),
    [
        (IoTakesNothing, "lost-read", "lost-dma-write"),
        (ForkTakesNothing, "lost-read", "lost-dma-write"),
        (NeverGivenBack, "lost-read", "deadlock"),
        (ForkNeverGivesBack, "reverse-race", "deadlock"),
    ],
)
def test_told_in_order_the_mutant_shows_it(
    mutant: type[PolicyHooks], scenario: str, kind: str
) -> None:
    assert kind in simulate(SCENARIOS[scenario], mutant()).kinds
    assert kind not in simulate(SCENARIOS[scenario], POLICY).kinds


@pytest.mark.parametrize(
    ("mutant", "told", "kind"),
    [
        (LooksUpFirst, READ_VS_FORK, "lost-dma-write"),
        (ForkTakesItSecond, UNTOUCHED_READ_VS_FORK, "deadlock"),
    ],
)
def test_in_some_order_the_mutant_shows_it(
    mutant: type[PolicyHooks], told: Scenario, kind: str
) -> None:
    assert simulate(told, mutant()).kinds == {"fork-blocked"}
    assert kind in explore(lambda: SimulatedWorld(told, mutant()), wanted=kind).verdicts
