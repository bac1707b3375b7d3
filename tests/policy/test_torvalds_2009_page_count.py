"""torvalds-2009-page-count: W asks page_count, fork and direct I/O keep each other off."""

from __future__ import annotations

from typing import Any

import pytest

from tests.common import Process, TinyWorld, made_up, one_page, two_mms
from uemu.abi import PAGE_SIZE, PROT_READ, PROT_WRITE, Direction
from uemu.dma.engine import Transfer
from uemu.errors import Fault
from uemu.events import PageCopied
from uemu.explore import explore
from uemu.mm.hooks import PolicyHooks
from uemu.mm.lock_hooks import IoRequest
from uemu.policy.kosaki_2009_directio_sem import Kosaki2009DirectioSem
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.torvalds_2009_page_count import Torvalds2009PageCount
from uemu.scenario.actions import Complete, DirectRead, Fork, Store
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Script, Stage
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op, Step, Stuck, run

POLICY = "torvalds-2009-page-count"


def submit(world: TinyWorld, process: Process, addr: int, *, aio: bool = False) -> Op[Transfer]:
    """A direct read of a page."""
    io, way = world.kernel.io, Direction.FROM_DEVICE
    return io.dio_submit(process.cpu, process.mm, [(addr, PAGE_SIZE)], way, "o_direct", aio=aio)


def until_it_waits(op: Op[Any]) -> Step:
    """Run an operation up to a step that it cannot take."""
    step = next(op)
    while step.is_enabled():
        step = next(op)
    return step


# The semaphore -----------------------------------------------------------------------------


def test_fork_waits_until_read_2_is_over() -> None:
    world, parent, buf = one_page(POLICY)
    read = run(submit(world, parent, buf))
    fork = world.kernel.fork(parent.cpu, parent.mm)
    step = until_it_waits(fork)
    assert step.what == "directio_sem for writing"
    assert parent.mm.mmap_lock.is_free()
    world.device_writes(read, b"D")
    world.complete(read)
    child = world.process(run(fork))
    assert (parent.load(buf), child.load(buf)) == (b"D", b"D")
    assert world.kinds() == set()
    assert parent.mm.sem("directio_sem").is_free()


def test_while_a_fork_waits_new_io_waits_for_it() -> None:
    world, parent, buf = one_page(POLICY)
    read = run(submit(world, parent, buf))
    fork = world.kernel.fork(parent.cpu, parent.mm)
    until_it_waits(fork)
    second = submit(world, world.process(parent.mm), buf)
    assert until_it_waits(second).what == "directio_sem for reading"
    world.complete(read)
    with pytest.raises(Stuck):
        run(submit(world, parent, buf))  # the fork that waits comes first
    run(fork)
    world.complete(run(second))
    world.kernel.check(at_rest=True)


def test_two_reads_at_the_same_time_do_not_wait() -> None:
    world, parent, buf = one_page(POLICY)
    run(submit(world, parent, buf))
    run(submit(world, world.process(parent.mm), buf))


def test_aio_gives_the_semaphore_back_when_the_call_returns() -> None:
    """KAMEZAWA, 2009-03-17 00:56: "this semaphore range seems to be not enough"."""
    world, parent, buf = one_page(POLICY)
    read = run(submit(world, parent, buf, aio=True))
    child = parent.fork()
    parent.store(buf, b"P")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert (parent.load(buf, 2), child.load(buf, 2)) == (b"PI", b"ID")
    assert world.kinds() == {"lost-dma-write", "dma-write-seen-by-other"}
    assert parent.mm.sem("directio_sem").is_free()


@pytest.mark.parametrize("aio", [False, True])
def test_io_that_is_refused_gives_it_back_once(aio: bool) -> None:
    world, parent, buf = one_page(POLICY)
    parent.munmap(buf)
    with pytest.raises(Fault):
        run(submit(world, parent, buf, aio=aio))
    assert parent.mm.sem("directio_sem").is_free()


@pytest.mark.parametrize("api", ["rdma", "vmsplice"])
def test_others_who_hold_pages_do_not_take_it(api: str) -> None:
    _, parent, buf = one_page(POLICY)
    if api == "rdma":
        parent.register(buf, api=api)
    else:
        parent.write_disk(buf, api=api)
    assert parent.mm.sem("directio_sem").is_free()
    parent.fork()


def test_a_childs_semaphore_is_its_own() -> None:
    world, parent, child, buf = two_mms(POLICY)
    run(submit(world, parent, buf))
    child.fork("grandchild")


# The write fault ---------------------------------------------------------------------------


def test_a_store_to_a_page_somebody_holds_copies_it_though_one_pte_maps_it() -> None:
    world, parent, child, buf = two_mms(POLICY)
    write = parent.write_disk(buf)
    child.exit()
    held = parent.page(buf)
    parent.store(buf, b"P")
    assert parent.page(buf) is not held
    assert world.device_reads(write) == b"I"
    world.complete(write)
    world.kernel.check(at_rest=True)


def test_a_store_to_a_page_nobody_holds_reuses_it() -> None:
    world, parent, child, buf = two_mms(POLICY)
    child.exit()
    held = parent.page(buf)
    parent.store(buf, b"P")
    assert parent.page(buf) is held
    assert world.log(PageCopied) == []


def test_mprotect_and_back_loses_a_read_with_no_fork() -> None:
    world, parent, buf = one_page(POLICY)
    read = run(submit(world, parent, buf))
    parent.mprotect(buf, PROT_READ)
    parent.mprotect(buf, PROT_READ | PROT_WRITE)
    parent.store(buf, b"P")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert world.kinds() == {"lost-dma-write"}


# What reclaim is to ask ----------------------------------------------------------------------


def answers(variant: str, *, held: bool, shared: bool, mapped: bool = True) -> tuple[bool, bool]:
    """Whether add_to_swap() refuses a page, and whether it counts as used."""
    hooks = Torvalds2009PageCount(variant)
    world, parent, buf = one_page(hooks)
    page = parent.page(buf)
    if shared:
        parent.fork()
    if held:
        parent.write_disk(buf)
    world.kernel.mech.get_page(world.device, page)  # isolate_lru_pages()
    if not mapped:
        parent.munmap(buf)
    refused = not hooks.may_add_to_swap(world.device, page)
    return refused, hooks.page_referenced(world.device, page)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("held", [False, True])
def test_each_variant_answers_one_question(held: bool, shared: bool) -> None:
    assert answers("", held=held, shared=shared) == (False, False)
    assert answers("no-swapcache-fixed", held=held, shared=shared) == (held, False)
    assert answers("referenced", held=held, shared=shared) == (False, held)


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("held", [False, True])
def test_as_written_nothing_ever_becomes_swap_cache(held: bool, mapped: bool) -> None:
    """page_mapped() is no count: whoever asks has a reference that it lacks."""
    assert answers("no-swapcache", held=held, shared=False, mapped=mapped) == (True, False)


# Mutants -------------------------------------------------------------------------------------


class WriteFaultIgnoresTheCount(Torvalds2009PageCount):
    """reuse = reuse_swap_page(), as before."""

    reuse_anon_page = Linux2_6_29.reuse_anon_page


class ForkTakesNoSemaphore(Torvalds2009PageCount):
    """fork does not wait."""

    fork_begin = Linux2_6_29.fork_begin
    fork_end = Linux2_6_29.fork_end


class IoTakesNoSemaphore(Torvalds2009PageCount):
    """Direct I/O does not keep fork off."""

    io_begin = Linux2_6_29.io_begin
    io_return = Linux2_6_29.io_return
    io_end = Linux2_6_29.io_end


@pytest.mark.parametrize(
    ("mutant", "scenario", "kind"),
    [
        (WriteFaultIgnoresTheCount, "reverse-race", "foreign-dma-read"),
        (ForkTakesNoSemaphore, "lost-read", "lost-dma-write"),
        (IoTakesNoSemaphore, "lost-read", "lost-dma-write"),
        (IoTakesNoSemaphore, "gup-fast-vs-fork", "lost-dma-write"),
        (ForkTakesNoSemaphore, "child-corrupted", "dma-write-seen-by-other"),
    ],
)
def test_in_some_order_the_mutant_shows_it_and_in_none_the_original(
    mutant: type[PolicyHooks], scenario: str, kind: str
) -> None:
    original = explore(lambda: SimulatedWorld(SCENARIOS[scenario], POLICY))
    assert original.exhaustive
    assert original.verdicts == {}
    found = explore(lambda: SimulatedWorld(SCENARIOS[scenario], mutant()), wanted=kind)
    assert kind in found.verdicts


def _aio(stage: Stage) -> Script:
    read = yield DirectRead(stage.buf, PAGE_SIZE, aio=True)
    yield Complete(read, b"D" * PAGE_SIZE)


def _fork_and_store(stage: Stage) -> Script:
    yield Fork("child")
    yield Store(stage.buf, b"P")


AIO_VS_FORK = made_up("io fork fork io", io=_aio, fork=_fork_and_store)


class HeldUntilTheEnd(Torvalds2009PageCount):
    """Not given back when an AIO call returns, as KOSAKI's second patch would have it."""

    def io_return(self, cpu: Cpu, request: IoRequest) -> None:
        pass

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        if request.aio:
            super().io_return(cpu, request)
        else:
            super().io_end(cpu, request)


@pytest.mark.parametrize(
    ("policy", "kinds"),
    [
        (Torvalds2009PageCount, {"lost-dma-write", "dma-write-seen-by-other"}),
        (HeldUntilTheEnd, set()),
    ],
)
def test_of_aio_it_is_the_early_return_that_loses(
    policy: type[Kosaki2009DirectioSem], kinds: set[str]
) -> None:
    found = explore(lambda: SimulatedWorld(AIO_VS_FORK, policy()))
    assert found.exhaustive
    assert set(found.verdicts) == kinds


@pytest.mark.parametrize(
    ("variant", "kinds"),
    [
        ("", {"lost-dma-write"}),
        ("no-swapcache", set()),
        ("no-swapcache-fixed", {"lost-dma-write"}),
        ("referenced", {"lost-dma-write"}),
    ],
)
def test_whoever_asks_before_the_unmap_misses_gup_fast(variant: str, kinds: set[str]) -> None:
    """ "a race with another CPU doing fast-gup" (03-17 19:55); who swaps nothing out has none."""
    scenario = SCENARIOS["reclaim-vs-gup-fast"]
    found = explore(lambda: SimulatedWorld(scenario, Torvalds2009PageCount(variant)))
    assert found.exhaustive
    assert set(found.verdicts) == kinds
