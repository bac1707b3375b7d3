"""kosaki-2009-pinned-sem: until when the semaphore is held, and early decow; its mutants."""

from __future__ import annotations

import pytest

from tests.common import TinyWorld, one_page, run_steps, two_mms
from tests.policy.io_and_fork import (
    AIO_READ,
    AIO_READ_VS_FORK,
    PIPE,
    READ_VS_FORK,
    REGISTERED,
    UNTOUCHED_READ_VS_FORK,
)
from uemu.abi import PROT_READ, Direction, Foll
from uemu.events import PageCopied
from uemu.explore import explore
from uemu.mm.gup import lockless_pages_from_mm
from uemu.mm.hooks import APIS, PolicyHooks
from uemu.mm.lock_hooks import IoRequest, LockHooks
from uemu.policy.kosaki_2009_directio_sem import Kosaki2009DirectioSem
from uemu.policy.kosaki_2009_pinned_sem import Kosaki2009PinnedSem
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.registry import make_policy
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, run

POLICY = "kosaki-2009-pinned-sem"


# The semaphore --------------------------------------------------------------------------------


@pytest.mark.parametrize("aio", [False, True])
def test_direct_io_holds_it_until_it_is_complete(aio: bool) -> None:
    world, parent, buf = one_page(POLICY)
    sem = parent.mm.sem("mm_pinned_sem")
    read, taken = run_steps(
        world.kernel.io.dio_submit(
            parent.cpu, parent.mm, [(buf, 512)], Direction.FROM_DEVICE, "o_direct", aio=aio
        )
    )
    assert taken[:2] == ["direct_io_worker", "get_user_pages_fast"]
    assert not sem.is_free()
    world.complete(read)
    assert sem.is_free()


def test_it_is_given_back_when_the_process_is_gone() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf, 512)
    parent.exit()
    world.complete(read)
    assert parent.mm.sem("mm_pinned_sem").is_free()


@pytest.mark.parametrize("told", [READ_VS_FORK, AIO_READ_VS_FORK, UNTOUCHED_READ_VS_FORK])
def test_direct_io_and_fork_exclude_each_other(told: Scenario) -> None:
    found = explore(lambda: SimulatedWorld(told, POLICY))
    assert found.exhaustive
    assert found.verdicts == {}
    assert simulate(told, POLICY).kinds == {"fork-blocked"}


LOST = {"dma-write-seen-by-other", "lost-dma-write"}


@pytest.mark.parametrize(("told", "kinds"), [(PIPE, {"secret-leak"}), (REGISTERED, LOST)])
def test_what_it_does_not_cover_is_as_in_2_6_29(told: Scenario, kinds: set[str]) -> None:
    assert simulate(told, POLICY).kinds == kinds == simulate(told, "linux-2.6.29").kinds


# Early decow ----------------------------------------------------------------------------------


@pytest.mark.parametrize("api", APIS)
def test_only_the_slow_path_of_gup_fast_breaks_cow(api: str) -> None:
    call = make_policy(POLICY).gup_kind(api, write=False)
    assert (Foll.PINNING_PAGE in call.foll) is call.fast is (api in ("o_direct", "vmsplice"))


@pytest.mark.parametrize("write", [False, True])
def test_gup_fast_takes_writable_entries_only(write: bool) -> None:
    world, parent, _, buf = two_mms(POLICY)
    mech, foll = world.kernel.mech, Foll.GET | Foll.WRITE if write else Foll.GET
    assert run(lockless_pages_from_mm(mech, parent.cpu, parent.mm, [buf], foll)) == []
    parent.store(buf, b"P")
    assert run(lockless_pages_from_mm(mech, parent.cpu, parent.mm, [buf], foll)) == [
        parent.page(buf)
    ]


def test_a_write_to_a_disk_breaks_cow_page_by_page() -> None:
    """A forked snapshot that is written out is copied (Torvalds, 2009-03-23 16:46)."""
    world = TinyWorld(POLICY)
    parent = world.process()
    buf = parent.mmap(3)
    parent.store(buf, b"I" * (3 * 4096))
    child = parent.fork()
    write = child.write_disk(buf, 3 * 4096)
    assert [event.fn for event in world.log(PageCopied)] == ["cow_user_page"] * 3
    world.complete(write)


def test_vfio_takes_the_shared_page_as_it_is() -> None:
    world, parent, child, buf = two_mms(POLICY)
    memory = parent.register(buf, writable=False, api="vfio")
    assert parent.page(buf) is child.page(buf)
    world.release(memory)


def test_memory_that_may_only_be_read_is_written_to_a_disk() -> None:
    world, parent, child, buf = two_mms(POLICY)
    parent.mprotect(buf, PROT_READ)
    write = parent.write_disk(buf)
    assert parent.page(buf) is not child.page(buf)
    assert not parent.pte(buf).write
    assert world.device_reads(write) == b"I"
    world.complete(write)


# Mutants -----------------------------------------------------------------------------------


class IoTakesNothing(Kosaki2009PinnedSem):
    """direct_io_worker and dio_complete as they were."""

    io_begin = LockHooks.io_begin
    io_end = LockHooks.io_end


class ForkTakesNothing(Kosaki2009PinnedSem):
    """dup_mmap as it was."""

    fork_begin = LockHooks.fork_begin
    fork_end = LockHooks.fork_end


class WorkerGivesItBack(Kosaki2009PinnedSem):
    """direct_io_worker() gives it back when it returns, as in the first form."""

    def io_return(self, cpu: Cpu, request: IoRequest) -> None:
        super().io_end(cpu, request)

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        if not request.aio:
            super().io_end(cpu, request)


class CompleteKeepsIt(Kosaki2009PinnedSem):
    """No up_read_non_owner() in dio_complete()."""

    io_end = LockHooks.io_end


class FastTakesReadOnly(Kosaki2009PinnedSem):
    """gup_pte_range as it was."""

    gup_fast_pte = Linux2_6_29.gup_fast_pte


class NoEarlyDecow(Kosaki2009PinnedSem):
    """__get_user_pages as it was."""

    should_force_cow_break = Linux2_6_29.should_force_cow_break


@pytest.mark.parametrize(
    ("mutant", "told", "kind"),
    [
        (IoTakesNothing, SCENARIOS["lost-read"], "lost-dma-write"),
        (ForkTakesNothing, SCENARIOS["lost-read"], "lost-dma-write"),
        (WorkerGivesItBack, AIO_READ, "lost-dma-write"),
        (CompleteKeepsIt, SCENARIOS["lost-read"], "deadlock"),
        (FastTakesReadOnly, SCENARIOS["reverse-race"], "foreign-dma-read"),
        (NoEarlyDecow, SCENARIOS["reverse-race"], "foreign-dma-read"),
        (Kosaki2009DirectioSem, SCENARIOS["reverse-race"], "foreign-dma-read"),
    ],
)
def test_the_mutant_shows_it_and_the_original_does_not(
    mutant: type[PolicyHooks], told: Scenario, kind: str
) -> None:
    assert kind in simulate(told, mutant()).kinds
    assert kind not in simulate(told, POLICY).kinds
