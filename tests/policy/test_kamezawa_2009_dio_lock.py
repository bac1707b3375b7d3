"""kamezawa-2009-dio-lock: what the range has and lacks, who waits for whom, and what never ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.common import Process, TinyWorld, made_up, one_page, run_steps, two_mms
from uemu.abi import PAGE_MASK, PAGE_SIZE, Direction
from uemu.dma.engine import Transfer
from uemu.events import PageCopied
from uemu.explore import explore
from uemu.mm.hooks import PolicyHooks
from uemu.mm.lock_hooks import IoRequest
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import trylock_page, unlock_page
from uemu.policy.kamezawa_2009_dio_lock import (
    DioLockEnt,
    DioLockHead,
    Kamezawa2009DioLock,
    conflict,
)
from uemu.scenario.actions import (
    Complete,
    DirectRead,
    Exit,
    Fork,
    Signal,
    Store,
    WaitFor,
)
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op, Step, Stuck, run

POLICY = "kamezawa-2009-dio-lock"


def registered(start: int, length: int) -> tuple[int, int]:
    """What a buffer of ``[start, start + length)`` has written down."""
    world, parent, _ = one_page(POLICY)
    request = IoRequest(parent.mm, "o_direct", ((start, length),), True, False)
    hooks = world.hooks
    assert isinstance(hooks, Kamezawa2009DioLock)
    run(hooks.io_begin(parent.cpu, request))
    (ent,) = hooks.diolock(parent.mm).dios.peek()
    hooks.io_end(parent.cpu, request)
    assert hooks.diolock(parent.mm).dios.peek() == ()
    return ent.start, ent.end


# The range ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "length", "range_"),
    [
        (0x1000, 0x1000, (0x1000, 0x3000)),  # a page, and the one behind it
        (0x1E00, 0x200, (0x2000, 0x3000)),  # the end of a page: only what is behind it
        (0x1000, 0x200, (0x1000, 0x3000)),
        (0x1200, 0x200, (0x2000, 0x3000)),
        (0x1E00, 0x400, (0x2000, 0x4000)),  # the end of one and the beginning of the next
    ],
)
def test_both_ends_are_rounded_up_and_a_page_is_added(
    start: int, length: int, range_: tuple[int, int]
) -> None:
    assert registered(start, length) == range_


def held_back(world: TinyWorld, process: Process, addr: int) -> bool:
    """Whether a store has to be tried again and again."""
    try:
        process.store(addr, b"P")
    except Stuck as stuck:
        return stuck.step.what == "retry: direct I/O is at work here"
    return False


def three_pages() -> tuple[TinyWorld, Process, int]:
    world = TinyWorld(POLICY)
    parent = world.process()
    buf = parent.mmap(3)
    parent.store(buf, b"I" * (3 * PAGE_SIZE))
    return world, parent, buf


@pytest.mark.parametrize(
    ("at", "waits"),
    [
        (0, False),  # byte 0 of the page under I/O: the range begins behind it
        (1, True),
        (PAGE_SIZE - 512, True),
        (PAGE_SIZE, True),  # the page behind, in which there is no I/O
        (2 * PAGE_SIZE - 1, True),
        (2 * PAGE_SIZE, False),
    ],
)
def test_of_a_page_read_at_its_end_byte_0_is_not_held_back(at: int, waits: bool) -> None:
    world, parent, buf = three_pages()
    parent.read_disk(buf + PAGE_SIZE - 512, 512)
    parent.fork()
    assert held_back(world, parent, buf + at) == waits


@pytest.mark.parametrize(
    ("at", "waits"), [(0, False), (1, True), (PAGE_SIZE, True), (2 * PAGE_SIZE, True)]
)
def test_of_a_whole_page_its_neighbours_are_held_back_too(at: int, waits: bool) -> None:
    world, parent, buf = three_pages()
    parent.read_disk(buf + PAGE_SIZE, PAGE_SIZE)
    parent.fork()
    assert held_back(world, parent, buf + at) == waits


def test_only_direct_io_registers() -> None:
    world, parent, buf = one_page(POLICY)
    parent.register(buf)
    parent.write_disk(buf, api="vmsplice")
    parent.fork()
    assert not held_back(world, parent, buf)


# Faults wait -------------------------------------------------------------------------------


def store_op(world: TinyWorld, process: Process, addr: int) -> tuple[Op[None], Step]:
    """A store that had to give up, and what it waits for."""
    op = world.kernel.user.store(process.cpu, process.mm, addr, b"P")
    step = next(op)
    while step.is_enabled():
        step = next(op)
    return op, step


def started(world: TinyWorld, process: Process, addr: int, *, aio: bool = False) -> Transfer:
    """A direct read of a page."""
    io, way = world.kernel.io, Direction.FROM_DEVICE
    piece = [(addr, PAGE_SIZE)]
    return run(io.dio_submit(process.cpu, process.mm, piece, way, "o_direct", aio=aio))


@pytest.mark.parametrize("aio", [False, True])
def test_a_store_is_retried_until_the_io_is_over_and_nothing_is_lost(aio: bool) -> None:
    world, parent, buf = one_page(POLICY)
    read = started(world, parent, buf, aio=aio)
    child = parent.fork()
    op, step = store_op(world, parent, buf)
    assert step.fn == "do_page_fault"
    assert parent.mm.mmap_lock.is_free()
    assert repr(parent.page(buf)) == "<pfn 0 3/2>"
    world.device_writes(read, b"D", start=1)
    assert not step.is_enabled()
    world.complete(read)
    assert step.is_enabled()
    run(op)
    assert (parent.load(buf, 2), child.load(buf, 2)) == (b"PD", b"ID")
    assert world.kinds() == {"dma-write-seen-by-other"}
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("leave", [lambda c, buf: c.store(buf, b"C"), lambda c, buf: c.exit()])
def test_or_until_the_child_has_left_the_page(leave: Callable[[Process, int], None]) -> None:
    """Its own registry is empty: nothing holds it back."""
    world, parent, buf = one_page(POLICY)
    read = started(world, parent, buf)
    child = parent.fork()
    held = parent.page(buf)
    op, step = store_op(world, parent, buf)
    leave(child, buf)
    assert step.is_enabled()
    run(op)
    assert parent.page(buf) is held
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert parent.load(buf, 2) == b"PD"
    assert world.kinds() == set()


def test_or_until_another_thread_has_broken_cow_by_way_of_byte_0() -> None:
    world, parent, buf = one_page(POLICY)
    parent.read_disk(buf + PAGE_SIZE - 512, 512)
    parent.fork()
    held = parent.page(buf)
    op, step = store_op(world, parent, buf + 8)
    world.process(parent.mm).store(buf, b"O")
    assert step.is_enabled()
    run(op)
    assert parent.page(buf) is not held


def test_a_child_that_has_left_is_not_enough_while_the_page_is_locked() -> None:
    """2.6.18 copies what it cannot lock, and a copy is not to be had here."""
    world, parent, buf = one_page(POLICY)
    read = started(world, parent, buf)
    child = parent.fork()
    held = parent.page(buf)
    op, step = store_op(world, parent, buf)
    trylock_page(world.device, held)
    child.exit()
    assert not step.is_enabled()
    unlock_page(world.device, held)
    assert step.is_enabled()
    run(op)
    assert parent.page(buf) is held
    world.complete(read)


def test_nor_while_its_other_owner_is_swapped_out() -> None:
    world, parent, buf = one_page(POLICY)
    read = started(world, parent, buf)
    child = parent.fork()
    run(world.kernel.swap_out(world.device, parent.mm, buf))
    parent.load(buf)
    op, step = store_op(world, parent, buf)
    assert parent.page(buf).mapcount.peek() == 1
    assert not step.is_enabled()
    child.exit()
    assert step.is_enabled()
    run(op)
    world.complete(read)
    world.kernel.check(at_rest=True)


def test_a_fault_that_gave_up_elsewhere_delays_no_other() -> None:
    world, parent, buf = one_page(POLICY)
    fresh = parent.mmap()
    started(world, parent, buf)
    parent.fork()
    assert held_back(world, parent, buf)
    assert not held_back(world, parent, fresh)


# gup's own faults ----------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 512, PAGE_SIZE - 512])
def test_a_direct_read_into_a_shared_page_waits_for_itself(at: int) -> None:
    world, parent, child, buf = two_mms(POLICY)
    io, way = world.kernel.io, Direction.FROM_DEVICE
    op = io.dio_submit(parent.cpu, parent.mm, [(buf + at, 512)], way, "o_direct")
    step = next(op)
    while step.is_enabled():
        step = next(op)
    assert step.fn == "get_user_pages"
    assert parent.mm.mmap_lock.readers.peek() == 1
    child.store(buf, b"C")  # only this helps
    assert step.is_enabled()
    transfer = run(op)
    assert parent.mm.mmap_lock.is_free()
    world.complete(transfer)
    world.kernel.check(at_rest=True)


def test_a_direct_write_finds_what_is_mapped_and_returns() -> None:
    world, parent, child, buf = two_mms(POLICY)
    write = parent.write_disk(buf)
    assert parent.page(buf) is child.page(buf)
    child.store(buf, b"C")
    assert world.device_reads(write) == b"I"


@pytest.mark.parametrize(("offset", "waits"), [(0, False), (512, True)])
def test_gup_faults_at_the_address_of_the_buffer_plus_whole_pages(offset: int, waits: bool) -> None:
    """The second page of rdma's buffer is looked up as a page, of direct I/O's as it lies."""
    world, parent, buf = one_page(POLICY)
    parent.read_disk(buf + PAGE_SIZE - 512, 512)  # [buf + 1 page, buf + 2 pages)
    parent.fork()
    hooks = world.hooks
    assert isinstance(hooks, Kamezawa2009DioLock)
    hooks._pieces[parent.cpu.name] = ((buf - PAGE_SIZE + offset, 2 * PAGE_SIZE),)
    assert hooks.raw_address(parent.cpu, buf) == buf + offset
    dios = hooks.diolock(parent.mm).dios.peek()
    assert conflict(dios, buf + offset, buf + offset + PAGE_SIZE) == waits


def test_memory_registered_meanwhile_faults_at_the_page() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf + PAGE_SIZE - 512, 512)
    parent.fork()
    held = parent.page(buf)
    run(world.kernel.io.register(parent.cpu, parent.mm, buf + 8, 8, True, "rdma"))
    assert parent.page(buf) is not held
    world.device_writes(read, b"D")
    world.complete(read)
    assert "lost-dma-write" in world.kinds()


# New I/O waits -------------------------------------------------------------------------------


def test_new_io_waits_while_a_copy_is_made() -> None:
    world, parent, buf = one_page(POLICY)
    other = world.process(parent.mm)
    world.complete(started(world, parent, buf))  # need_dio_check
    parent.fork()
    op = world.kernel.user.store(other.cpu, other.mm, buf, b"P")
    while next(op).fn != "cow_user_page":
        pass
    io, way = world.kernel.io, Direction.TO_DEVICE
    piece = [(buf, PAGE_SIZE)]
    submit = io.dio_submit(parent.cpu, parent.mm, piece, way, "o_direct")
    assert next(submit).what == "need_dio_check ?"
    step = next(submit)
    assert (step.what, step.is_enabled()) == ("no COW under way", False)
    run(op)
    assert step.is_enabled()
    transfer = run(submit)
    assert world.device_reads(transfer) == b"P"


def test_after_a_conflict_new_io_waits_10_ticks() -> None:
    world, parent, buf = one_page(POLICY)
    started(world, parent, buf)
    parent.fork()
    assert held_back(world, parent, buf)
    io, way = world.kernel.io, Direction.TO_DEVICE
    piece = [(buf, PAGE_SIZE)]
    _, taken = run_steps(io.dio_submit(parent.cpu, parent.mm, piece, way, "o_direct"))
    assert taken == ["dio_lock"] * 4 + ["get_user_pages", "follow_page"]
    _, taken = run_steps(io.dio_submit(parent.cpu, parent.mm, piece, way, "o_direct"))
    assert taken == ["dio_lock"] * 2 + ["get_user_pages", "follow_page"]


def test_a_process_without_direct_io_is_asked_nothing() -> None:
    world, parent, _, buf = two_mms(POLICY)
    _, taken = run_steps(world.kernel.user.store(parent.cpu, parent.mm, buf, b"P"))
    assert "mm_cow_start" not in taken


def test_a_page_that_is_locked_is_copied_if_nobody_reads_into_it() -> None:
    world, parent, child, buf = two_mms(POLICY)
    child.exit()
    assert trylock_page(world.device, parent.page(buf))
    parent.store(buf, b"P")
    assert [event.fn for event in world.log(PageCopied)] == ["cow_user_page"]


# Races and mutants -----------------------------------------------------------------------------


def _read_a_page(stage: Stage) -> Script:
    read = yield DirectRead(stage.buf, PAGE_SIZE, aio=True)
    yield Signal("submitted")
    yield Complete(read, b"D" * PAGE_SIZE)


def _fork_once_submitted(stage: Stage) -> Script:
    yield WaitFor("submitted")
    yield Fork("child")


def _store(stage: Stage) -> Script:
    yield Store(stage.buf, b"P")


def _store_and_exit(stage: Stage) -> Script:
    yield Store(stage.buf, b"C")
    yield Exit()


READ_THEN_FORK = made_up(
    "io fork cpu child child io",
    io=_read_a_page,
    fork=_fork_once_submitted,
    cpu=_store,
    child=_store_and_exit,
)
"""A whole page is read, and stored to meanwhile."""


class CowDoesNotAsk(Kamezawa2009DioLock):
    """mm_cow_start() counts the copy and looks at no range."""

    def mm_cow_start(self, cpu: Cpu, head: DioLockHead, addr: int) -> bool:
        cpu.write(head.cows, cpu.read(head.cows) + 1)
        return True


class IoDoesNotWait(Kamezawa2009DioLock):
    """dio_lock() registers while copies are being made."""

    def mm_cow_start(self, cpu: Cpu, head: DioLockHead, addr: int) -> bool:
        may = super().mm_cow_start(cpu, head, addr)
        cpu.write(head.cows, 0)
        return may


class SetWithoutTheSem(Kamezawa2009DioLock):
    """need_dio_check is set with no regard to copies under way."""

    def set_need_dio_check(self, cpu: Cpu, head: DioLockHead, mm: MmStruct) -> Op[None]:
        yield Step("dio_lock", "need_dio_check = 1")
        cpu.write(head.need_dio_check, True)


class ReleasedOnReturn(Kamezawa2009DioLock):
    """An AIO call takes its buffer out when it returns."""

    def io_return(self, cpu: Cpu, request: IoRequest) -> None:
        self.io_end(cpu, request)


@pytest.mark.parametrize(
    ("mutant", "scenario", "kind"),
    [
        (CowDoesNotAsk, READ_THEN_FORK, "lost-dma-write"),
        (CowDoesNotAsk, SCENARIOS["reverse-race"], "foreign-dma-read"),
        (IoDoesNotWait, SCENARIOS["reverse-race"], "foreign-dma-read"),
        (SetWithoutTheSem, SCENARIOS["reverse-race"], "foreign-dma-read"),
        (ReleasedOnReturn, READ_THEN_FORK, "lost-dma-write"),
    ],
)
def test_in_some_order_the_mutant_shows_it_and_in_none_the_original(
    mutant: type[PolicyHooks], scenario: Scenario, kind: str
) -> None:
    original = explore(lambda: SimulatedWorld(scenario, POLICY))
    assert original.exhaustive
    assert kind not in original.verdicts
    found = explore(lambda: SimulatedWorld(scenario, mutant()), wanted=kind)
    assert kind in found.verdicts


@pytest.mark.parametrize("scenario", ["reverse-race", "ro-pin-then-fork"])
def test_of_whole_pages_that_are_written_to_disk_nothing_is_wrong_in_any_order(
    scenario: str,
) -> None:
    found = explore(lambda: SimulatedWorld(SCENARIOS[scenario], POLICY))
    assert found.exhaustive
    assert found.verdicts == {}


# What rounding up, and one's own range, are worth ------------------------------------------------


class RoundsDown(Kamezawa2009DioLock):
    """The pages that the buffer is in, and no others."""

    def dio_lock_ent(self, request: IoRequest, start: int, end: int) -> DioLockEnt:
        return DioLockEnt(request, start & PAGE_MASK, end + PAGE_SIZE - 1 & PAGE_MASK)


@pytest.mark.parametrize(
    ("policy", "kinds"),
    [
        (Kamezawa2009DioLock, {"dma-write-seen-by-other", "lost-dma-write"}),
        (RoundsDown, {"dma-write-seen-by-other"}),
    ],
)
def test_rounded_down_the_range_would_keep_the_read_of_2009(
    policy: type[PolicyHooks], kinds: set[str]
) -> None:
    found = explore(lambda: SimulatedWorld(SCENARIOS["lost-read"], policy()))
    assert found.exhaustive
    assert set(found.verdicts) == kinds


class GupDoesNotAsk(Kamezawa2009DioLock):
    """gup's own faults meet no range."""

    def raw_address(self, cpu: Cpu, base: int) -> int:
        pieces = self._pieces.get(cpu.name, ())
        own = any(length > 1 for _, length in pieces)
        return -PAGE_SIZE if own else super().raw_address(cpu, base)


@pytest.mark.parametrize(
    ("policy", "deadlock"), [(Kamezawa2009DioLock, True), (GupDoesNotAsk, False)]
)
def test_it_is_their_own_range_that_direct_reads_wait_for(
    policy: type[PolicyHooks], deadlock: bool
) -> None:
    scenario = SCENARIOS["child-corrupted"]
    found = explore(lambda: SimulatedWorld(scenario, policy()))
    assert found.exhaustive
    assert ("deadlock" in found.verdicts) == deadlock
