"""torvalds-2009-fork-lock: who keeps fork out, and until when; the variant; its mutants."""

from __future__ import annotations

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
from uemu.abi import PAGE_SIZE, Direction
from uemu.errors import Fault
from uemu.events import PageCopied
from uemu.explore import explore
from uemu.mm.hooks import APIS, PolicyHooks
from uemu.mm.lock_hooks import IoRequest, LockHooks
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.torvalds_2009_fork_lock import Torvalds2009ForkLock
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op, run

POLICY = "torvalds-2009-fork-lock"
LOOKUP = f"{POLICY}:lookup"


@pytest.mark.parametrize("aio", [False, True])
@pytest.mark.parametrize("policy", [POLICY, LOOKUP])
def test_the_lock_comes_before_the_lookup_and_stays_with_the_reference(
    policy: str, aio: bool
) -> None:
    world, parent, buf = one_page(policy)
    sem = parent.mm.sem("fork_sem")
    read, taken = run_steps(
        world.kernel.io.dio_submit(
            parent.cpu, parent.mm, [(buf, 512)], Direction.FROM_DEVICE, "o_direct", aio=aio
        )
    )
    assert taken[:2] == ["get_user_pages", "get_user_pages_fast"]
    assert sem.is_free() is (policy == LOOKUP)
    world.complete(read)
    assert sem.is_free()


@pytest.mark.parametrize("aio", [False, True])
@pytest.mark.parametrize("policy", [POLICY, LOOKUP])
def test_io_that_is_refused_gives_it_back(policy: str, aio: bool) -> None:
    world, parent, buf = one_page(policy)
    iov = [(buf, 512), (buf + 8 * PAGE_SIZE, 512)]
    op = world.kernel.io.dio_submit(
        parent.cpu, parent.mm, iov, Direction.FROM_DEVICE, "o_direct", aio=aio
    )
    with pytest.raises(Fault):
        run(op)
    assert parent.mm.sem("fork_sem").is_free()


@pytest.mark.parametrize("api", APIS)
def test_every_caller_of_gup_takes_it(api: str) -> None:
    world, parent, buf = one_page(POLICY)
    sem = parent.mm.sem("fork_sem")
    if api in ("o_direct", "vmsplice"):
        io = parent.write_disk(buf, 512, api=api)
        assert sem.readers.peek() == 1
        world.complete(io)
    else:
        memory = parent.register(buf, api=api)
        assert sem.readers.peek() == 1
        world.release(memory)
    assert sem.is_free()


def test_fork_takes_it_before_mmap_sem_and_others_do_not_take_it() -> None:
    world, parent, buf = one_page(POLICY)
    parent.register(buf)
    fork = world.kernel.fork(parent.cpu, parent.mm)
    assert [next(fork).what, next(fork).what] == [
        "queue: fork_sem for writing, killable",
        "fork_sem for writing, killable",
    ]
    parent.mmap()
    parent.store(buf, b"x")
    parent.munmap(buf)


def test_a_big_buffer_takes_the_variants_lock_for_each_64_pages() -> None:
    world, parent, _ = one_page(LOOKUP)
    buf = parent.mmap(130)
    op = world.kernel.io.dio_submit(
        parent.cpu, parent.mm, [(buf, 130 * PAGE_SIZE)], Direction.FROM_DEVICE, "o_direct"
    )
    labels = [step.what for step in op]
    assert labels.count("fork_sem for reading") == 3


RACES = [READ_VS_FORK, AIO_READ_VS_FORK, UNTOUCHED_READ_VS_FORK]


@pytest.mark.parametrize("told", RACES)
@pytest.mark.parametrize("policy", [POLICY, LOOKUP])
def test_gup_and_fork_do_not_miss_each_other(policy: str, told: Scenario) -> None:
    found = explore(lambda: SimulatedWorld(told, policy))
    assert found.exhaustive
    assert found.verdicts == {}


@pytest.mark.parametrize("policy", [POLICY, LOOKUP])
def test_under_tso_no_barrier_is_needed(policy: str) -> None:
    found = explore(lambda: SimulatedWorld(READ_VS_FORK, policy, tso=True))
    assert found.exhaustive
    assert found.verdicts == {}


@pytest.mark.parametrize("told", [AIO_READ, PIPE, REGISTERED])
def test_fork_waits_for_whoever_holds_a_page_and_in_the_variant_for_nobody(
    told: Scenario,
) -> None:
    assert simulate(told, POLICY).kinds == {"fork-blocked"}
    assert simulate(told, LOOKUP).kinds == frozenset()


def test_in_the_variant_fork_copies_what_is_marked_and_held() -> None:
    world, parent, buf = one_page(LOOKUP)
    read = parent.read_disk(buf)
    child = parent.fork()
    assert child.page(buf) is not parent.page(buf)
    assert [event.fn for event in world.log(PageCopied)] == ["fork_pre_cow"]
    world.complete(read)
    second = parent.fork("second")
    assert second.page(buf) is parent.page(buf)


def test_without_the_variant_nothing_is_marked() -> None:
    _, parent, buf = one_page(POLICY)
    parent.register(buf)
    parent.write_disk(buf)
    assert parent.page(buf).flags_set() == ()


# Mutants -----------------------------------------------------------------------------------


class IoTakesNothing(Torvalds2009ForkLock):
    """get_user_pages as it was."""

    io_begin = LockHooks.io_begin
    io_end = LockHooks.io_end


class ForkTakesNothing(Torvalds2009ForkLock):
    """dup_mmap as it was."""

    fork_begin = LockHooks.fork_begin
    fork_end = LockHooks.fork_end


class NeverGivenBack(Torvalds2009ForkLock):
    """No up_read() with the pages."""

    io_end = LockHooks.io_end


class DirectIoAlone(Torvalds2009ForkLock):
    """The lock is direct I/O's, as KOSAKI's."""

    def io_begin(self, cpu: Cpu, request: IoRequest) -> Op[None]:
        if request.api == "o_direct":
            yield from super().io_begin(cpu, request)

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        if request.api == "o_direct":
            super().io_end(cpu, request)


class LookupWithoutFlag(Torvalds2009ForkLock):
    """The lock over the lookup, and nothing that fork could see afterwards."""

    def __init__(self) -> None:
        super().__init__("lookup")

    copy_present_pte = Linux2_6_29.copy_present_pte
    copy_writable_pte = Linux2_6_29.copy_writable_pte


class LookupWithoutLock(Torvalds2009ForkLock):
    """The flag, without a second look at the entry, and no lock that stands for it."""

    def __init__(self) -> None:
        super().__init__("lookup")

    gup_begin = LockHooks.gup_begin
    gup_end = LockHooks.gup_end


@pytest.mark.parametrize(
    ("mutant", "told", "kind"),
    [
        (IoTakesNothing, SCENARIOS["lost-read"], "lost-dma-write"),
        (ForkTakesNothing, SCENARIOS["lost-read"], "lost-dma-write"),
        (NeverGivenBack, SCENARIOS["lost-read"], "deadlock"),
        (DirectIoAlone, PIPE, "secret-leak"),
        (DirectIoAlone, REGISTERED, "lost-dma-write"),
        (LookupWithoutFlag, SCENARIOS["lost-read"], "lost-dma-write"),
    ],
)
def test_told_in_order_the_mutant_shows_it(
    mutant: type[PolicyHooks], told: Scenario, kind: str
) -> None:
    assert kind in simulate(told, mutant()).kinds
    for policy in (POLICY, LOOKUP):
        assert kind not in simulate(told, policy).kinds


def test_the_flag_alone_races_with_fork() -> None:
    assert simulate(READ_VS_FORK, LookupWithoutLock()).kinds == frozenset()
    found = explore(lambda: SimulatedWorld(READ_VS_FORK, LookupWithoutLock()))
    assert "lost-dma-write" in found.verdicts
