"""torvalds-2009-mmap-sem: who holds mmap_sem, until when, and who waits; its mutants."""

from __future__ import annotations

import pytest

from tests.common import made_up, one_page, run_steps
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
from uemu.mm.hooks import APIS, GupCall, PolicyHooks
from uemu.mm.lock_hooks import IoRequest, LockHooks
from uemu.mm.locks import RwSem
from uemu.mm.mm_struct import MmStruct
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.torvalds_2009_mmap_sem import Torvalds2009MmapSem
from uemu.scenario.actions import Complete, DirectWrite, Fork, Load, Store
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op, run

POLICY = "torvalds-2009-mmap-sem"
CALL = f"{POLICY}:direct-io-call"
LOST = {"dma-write-seen-by-other", "lost-dma-write"}


@pytest.mark.parametrize(
    ("policy", "aio", "held"),
    [(POLICY, False, True), (POLICY, True, True), (CALL, False, True), (CALL, True, False)],
)
def test_direct_io_holds_mmap_sem_from_before_its_lookup(
    policy: str, aio: bool, held: bool
) -> None:
    world, parent, buf = one_page(policy)
    read, taken = run_steps(
        world.kernel.io.dio_submit(
            parent.cpu, parent.mm, [(buf, 512)], Direction.FROM_DEVICE, "o_direct", aio=aio
        )
    )
    assert taken[:2] == ["direct_IO", "get_user_pages_fast"]
    assert parent.mm.mmap_lock.is_free() is not held
    world.complete(read)
    assert parent.mm.mmap_lock.is_free()


@pytest.mark.parametrize("aio", [False, True])
@pytest.mark.parametrize("policy", [POLICY, CALL])
def test_io_that_is_refused_gives_it_back(policy: str, aio: bool) -> None:
    world, parent, buf = one_page(policy)
    iov = [(buf, 512), (buf + 8 * PAGE_SIZE, 512)]
    op = world.kernel.io.dio_submit(
        parent.cpu, parent.mm, iov, Direction.FROM_DEVICE, "o_direct", aio=aio
    )
    with pytest.raises(Fault):
        run(op)
    assert parent.mm.mmap_lock.is_free()


@pytest.mark.parametrize("api", APIS)
def test_gup_does_not_take_it_twice(api: str) -> None:
    """It would wait behind a fork that waits for the first time."""
    assert Torvalds2009MmapSem().gup_kind(api, write=True).locked
    call = Torvalds2009MmapSem("direct-io-call").gup_kind(api, write=True)
    assert call.locked is (api == "o_direct")


def test_registered_memory_and_pipes_hold_it_and_in_the_variant_they_do_not() -> None:
    for policy, free in ((POLICY, False), (CALL, True)):
        world, parent, buf = one_page(policy)
        memory = parent.register(buf)
        assert parent.mm.mmap_lock.is_free() is free
        pipe = parent.write_disk(buf, 512, api="vmsplice")
        world.release(memory)
        assert parent.mm.mmap_lock.is_free() is free
        world.complete(pipe)
        assert parent.mm.mmap_lock.is_free()


@pytest.mark.parametrize(
    "told", [READ_VS_FORK, AIO_READ_VS_FORK, UNTOUCHED_READ_VS_FORK, PIPE, REGISTERED]
)
def test_io_and_fork_exclude_each_other(told: Scenario) -> None:
    assert simulate(told, POLICY).kinds == {"fork-blocked"}
    if told not in (PIPE, REGISTERED):
        found = explore(lambda: SimulatedWorld(told, POLICY))
        assert found.exhaustive
        assert found.verdicts == {}


@pytest.mark.parametrize(
    ("told", "kinds"), [(AIO_READ, LOST), (PIPE, {"secret-leak"}), (REGISTERED, LOST)]
)
def test_over_the_call_alone_it_does_not_cover_what_outlives_the_call(
    told: Scenario, kinds: set[str]
) -> None:
    """A. Arcangeli, 2009-03-11 21:57: "and not until the I/O completion handler fires"."""
    assert simulate(told, CALL).kinds == kinds == simulate(told, "linux-2.6.29").kinds


def test_in_the_variant_gup_fast_and_fork_exclude_each_other_and_aio_is_lost() -> None:
    assert explore(lambda: SimulatedWorld(READ_VS_FORK, CALL)).verdicts == {}
    assert set(explore(lambda: SimulatedWorld(AIO_READ_VS_FORK, CALL)).verdicts) == LOST


# Who waits behind a fork that waits -----------------------------------------------------------


def _fill_and_drain(stage: Stage) -> Script:
    pipe = yield DirectWrite(stage.buf, 512, api="vmsplice")
    yield Load(stage.buf + PAGE_SIZE, 1)
    yield Store(stage.buf + PAGE_SIZE, b"x")
    yield Complete(pipe)


def _fork(stage: Stage) -> Script:
    yield Fork("child")


DRAIN = made_up("first io io fork io io", first=_fork, io=_fill_and_drain, fork=_fork)
"""A pipe is filled; whoever drains it stores first, to a page that an earlier fork shares."""


class UnfairMmapSem(Torvalds2009MmapSem):
    """A writer that waits stops nobody."""

    mmap_lock_type = RwSem


def test_a_fault_behind_a_fork_behind_io_that_waits_for_the_fault_is_a_deadlock() -> None:
    verdict = simulate(DRAIN, POLICY)
    assert [violation.message for violation in verdict.violations] == [
        "io waits for ever in do_page_fault: mmap_sem",
        "fork waits for ever in dup_mmap: mmap_sem for writing",
    ]
    assert simulate(DRAIN, UnfairMmapSem()).kinds == {"fork-blocked"}


# Mutants -----------------------------------------------------------------------------------


class IoTakesNothing(Torvalds2009MmapSem):
    """get_user_pages as it was."""

    gup_kind = Linux2_6_29.gup_kind
    io_begin = LockHooks.io_begin
    io_end = LockHooks.io_end


class HeldOverTheLookup(Torvalds2009MmapSem):
    """Given back when get_user_pages returns (Arcangeli, 2009-03-11 20:55)."""

    gup_kind = Linux2_6_29.gup_kind
    io_begin = LockHooks.io_begin
    io_end = LockHooks.io_end

    def gup_fast_begin(self, cpu: Cpu, mm: MmStruct, foll: Foll) -> Op[int | None]:
        yield mm.mmap_lock.read_step("get_user_pages_fast", "mmap_sem for reading")
        mm.mmap_lock.down_read(cpu)
        return 0

    def gup_fast_end(self, cpu: Cpu, mm: MmStruct, foll: Foll, token: int) -> Op[bool]:
        mm.mmap_lock.up_read(cpu)
        return True
        yield  # pragma: no cover


class NeverGivenBack(Torvalds2009MmapSem):
    """No up_read() when the I/O is done."""

    io_end = LockHooks.io_end


class GupTakesItToo(Torvalds2009MmapSem):
    """get_user_pages() takes mmap_sem as ever, although its caller has it."""

    def gup_kind(self, api: str, *, write: bool) -> GupCall:
        return Linux2_6_29.gup_kind(self, api, write=write)


class ReturnsWithIt(Torvalds2009MmapSem):
    """The variant, but AIO keeps the semaphore: whose else is it?"""

    def io_return(self, cpu: Cpu, request: IoRequest) -> None:
        pass


@pytest.mark.parametrize(
    ("mutant", "scenario", "kind"),
    [
        (IoTakesNothing, "lost-read", "lost-dma-write"),
        (HeldOverTheLookup, "lost-read", "lost-dma-write"),
        (NeverGivenBack, "lost-read", "deadlock"),
    ],
)
def test_told_in_order_the_mutant_shows_it(
    mutant: type[PolicyHooks], scenario: str, kind: str
) -> None:
    assert kind in simulate(SCENARIOS[scenario], mutant()).kinds
    assert kind not in simulate(SCENARIOS[scenario], POLICY).kinds


def test_a_gup_that_takes_it_twice_meets_a_fork_in_between() -> None:
    told = UNTOUCHED_READ_VS_FORK
    assert simulate(told, GupTakesItToo()).kinds == {"fork-blocked"}
    assert "deadlock" in explore(lambda: SimulatedWorld(told, GupTakesItToo())).verdicts


def test_aio_that_keeps_it_in_the_variant_stops_fork_for_ever() -> None:
    assert simulate(AIO_READ, ReturnsWithIt("direct-io-call")).kinds == {"deadlock"}
