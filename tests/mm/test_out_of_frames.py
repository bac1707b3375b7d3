"""Frames run out: fork, faults and get_user_pages say ENOMEM, and nothing is lost."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable
from dataclasses import replace

import pytest

import uemu
from tests.common import ALL_POLICIES, Process, TinyWorld, made_up, two_mms
from tests.each import each
from uemu.abi import PAGE_SIZE
from uemu.errors import Fault, InvariantError
from uemu.events import MmGone, TlbFlushed
from uemu.explore import explore
from uemu.policy.registry import all_names, make_policy
from uemu.scenario.actions import Fork, Load, Register, Release, Store
from uemu.scenario.live import run_live
from uemu.scenario.script import Script, Stage
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld

COPIES_AT_FORK = (
    "redhat-2.6.18",
    "arcangeli-2009-v1",
    "arcangeli-2009-v2",
    "piggin-2009-vma",
    "piggin-2009-page",
    "linux-5.9",
    "linux-5.11",
    "hubbard-2021-locked-pages",
    "kara-2021-unmap-if-not-pinned",
    "hildenbrand-2021-model1",
    "hildenbrand-2021-model2",
    "linux-5.19",
    "linux-6.5",
)
"""Those where fork makes a copy of a registered page."""

FORGETS = ("arcangeli-2009-v1", "arcangeli-2009-v2")
"""Those whose patch returns -ENOMEM and keeps what it has counted for the child."""

LOOKUP = "torvalds-2009-fork-lock:lookup"
"""Its fork is arcangeli-2009-v2's."""

VARIANTS = tuple(
    name for name in all_names() if ":" in name and name.partition(":")[0] in COPIES_AT_FORK
)

DOES_NOT_WAIT = tuple(
    name for name in ALL_POLICIES if not make_policy(name).makes_wait
)  # for what is registered

every_policy = each("policy", ALL_POLICIES)
copies_at_fork = pytest.mark.parametrize("policy", COPIES_AT_FORK)


def registered(policy: str, nr_pages: int) -> tuple[TinyWorld, Process, int]:
    """A process with three pages of ``I``, the last ``nr_pages`` of them registered."""
    world = TinyWorld(policy)
    parent = world.process()
    world.cpu_of(parent.mm)
    buf = parent.mmap(3)
    parent.store(buf, b"I" * 3 * PAGE_SIZE)
    for page in range(3 - nr_pages, 3):
        parent.register(buf + page * PAGE_SIZE)
    return world, parent, buf


def leave(world: TinyWorld, nr_frames: int) -> None:
    """Let there be that many frames more."""
    mech = world.kernel.mech
    mech.frame_limit = len(mech.pages) + nr_frames


def fails(call: Callable[[], object]) -> None:
    with pytest.raises(Fault, match="page frames are in use") as refused:
        call()
    assert refused.value.errno == errno.ENOMEM


def is_free(mm_of: Process) -> bool:
    return mm_of.mm.mmap_lock.is_free() and mm_of.mm.page_table_lock.is_free()


@pytest.mark.parametrize("policy", DOES_NOT_WAIT)
def test_the_list_of_those_that_copy_at_fork_is_whole(policy: str) -> None:
    world, parent, _ = registered(policy, 1)
    before = len(world.kernel.mech.pages)
    parent.fork()
    assert (len(world.kernel.mech.pages) > before) is (policy in COPIES_AT_FORK)


@pytest.mark.parametrize("nr_frames", [0, 1])
@pytest.mark.parametrize("policy", [*COPIES_AT_FORK, *VARIANTS, LOOKUP])
def test_a_fork_that_gets_no_frame_leaves_nothing(policy: str, nr_frames: int) -> None:
    world, parent, buf = registered(policy, nr_frames + 1)
    pages = [parent.page(buf + at) for at in range(0, 3 * PAGE_SIZE, PAGE_SIZE)]
    leave(world, nr_frames)
    fails(parent.fork)
    mech = world.kernel.mech
    assert list(mech.mms) == [parent.mm.id]
    assert len(world.log(MmGone)) == 1
    assert is_free(parent)
    flushed = [event.target for event in world.log(TlbFlushed) if event.mm == parent.mm.id]
    assert "parent.1" in flushed
    # The parent has its pages, and may store to each.
    leave(world, 3)
    for page, addr in zip(pages, range(buf, buf + 3 * PAGE_SIZE, PAGE_SIZE), strict=True):
        assert parent.load(addr) == b"I"
        parent.store(addr, b"P")
        if addr > buf:
            assert parent.page(addr) is page
    forgets = policy == LOOKUP or policy.partition(":")[0] in FORGETS
    if forgets or (nr_frames and world.hooks.leaks()):
        with pytest.raises(InvariantError, match="refcount-leak"):
            world.kernel.check(at_rest=True)
    else:
        world.kernel.check(at_rest=True)
        mech.frame_limit = None
        child = parent.fork()
        assert child.load(buf) == b"P"
    assert world.kinds() == set()


@pytest.mark.parametrize("policy", FORGETS)
def test_and_where_the_patch_forgets_the_next_fork_meets_its_bug_on(policy: str) -> None:
    world, parent, _ = registered(policy, 1)
    leave(world, 0)
    fails(parent.fork)
    leave(world, 1)
    with pytest.raises(InvariantError, match="BUG_ON"):
        parent.fork()


@every_policy
def test_fork_needs_a_frame_for_nothing_that_it_shares(policy: str) -> None:
    world, parent, buf = registered(policy, 0)
    leave(world, 0)
    assert parent.fork().load(buf) == b"I"
    world.kernel.check(at_rest=True)


def test_the_seqcount_is_even_again() -> None:
    world, parent, _ = registered("linux-5.11", 1)
    leave(world, 0)
    fails(parent.fork)
    assert parent.mm.extra("write_protect_seq").peek() % 2 == 0


@every_policy
def test_a_store_that_cannot_break_cow_leaves_everything_as_it_was(policy: str) -> None:
    world, parent, child, buf = two_mms(policy)
    shared = parent.page(buf)
    leave(world, 0)
    fails(lambda: parent.store(buf, b"P"))
    assert parent.page(buf) is child.page(buf) is shared
    assert is_free(parent)
    assert is_free(child)
    world.kernel.check(at_rest=True)
    leave(world, 1)
    parent.store(buf, b"P")
    assert (parent.load(buf), child.load(buf)) == (b"P", b"I")
    world.kernel.check(at_rest=True)


@every_policy
def test_a_first_store_gets_no_page_and_a_first_load_may_see_zeros(policy: str) -> None:
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap()
    leave(world, 0)
    fails(lambda: parent.store(buf, b"P"))
    assert is_free(parent)
    if world.hooks.read_fault_maps_zero_page:
        leave(world, 1)
        assert parent.load(buf) == b"\0"
    else:
        fails(lambda: parent.load(buf))
    world.kernel.check(at_rest=True)


@every_policy
def test_a_write_gup_that_cannot_break_cow_holds_nothing(policy: str) -> None:
    world, parent, child, buf = two_mms(policy)
    leave(world, 0)
    fails(lambda: parent.register(buf))
    assert world.kernel.io.holds() == {}
    assert is_free(parent)
    assert child.load(buf) == b"I"
    world.kernel.check(at_rest=True)


def test_the_vma_that_could_not_be_uncowed_is_not_marked() -> None:
    world, parent, child, buf = two_mms("piggin-2009-vma")
    leave(world, 0)
    fails(lambda: parent.write_disk(buf))
    leave(world, 1)
    parent.write_disk(buf)
    assert parent.page(buf) is not child.page(buf)


# As scenarios -------------------------------------------------------------------------------


def _fork_and_store(stage: Stage) -> Script:
    memory = yield Register(stage.buf, PAGE_SIZE, writable=True, api="rdma")
    with contextlib.suppress(Fault):
        yield Fork("child")
    yield Store(stage.buf, b"P")
    yield Release(memory)


def _others(stage: Stage) -> Script:
    yield Store(stage.buf + 1, b"Q")
    yield Load(stage.buf + PAGE_SIZE, 1)


FORK_FAILS = replace(
    made_up("fork fork other other fork fork", fork=_fork_and_store, other=_others), frame_limit=2
)

BALANCED = [name for name in COPIES_AT_FORK if name not in FORGETS]


@pytest.mark.parametrize("policy", BALANCED)
def test_in_every_order_a_fork_that_fails_harms_nobody(policy: str) -> None:
    found = explore(lambda: SimulatedWorld(FORK_FAILS, policy))
    assert found.exhaustive
    assert found.verdicts == {}


@pytest.mark.parametrize("policy", FORGETS)
def test_what_the_patch_forgets_is_told(policy: str) -> None:
    assert simulate(FORK_FAILS, policy).kinds == {"refcount-leak"}


@pytest.mark.needs_ptrace
@copies_at_fork
def test_live_it_is_the_same(policy: str) -> None:
    assert run_live(FORK_FAILS, policy).kinds == simulate(FORK_FAILS, policy).kinds


# On real processes ------------------------------------------------------------------------------


@pytest.mark.needs_ptrace
@copies_at_fork
def test_there_is_no_real_fork_where_the_emulated_one_fails(policy: str) -> None:
    with uemu.Machine(policy) as machine:
        parent = machine.spawn()
        buf = parent.mmap(2 * PAGE_SIZE)
        parent.store(buf, b"I" * 2 * PAGE_SIZE)
        machine.dma.register(parent, buf + PAGE_SIZE, PAGE_SIZE)
        machine.limit_frames(len(machine.pfns))
        with pytest.raises(uemu.Fault, match="ENOMEM"):
            parent.fork()
        assert [process.pid for process in machine.stage.reports.processes.values()] == [parent.pid]
        parent.store(buf, b"P" * 2)
        parent.store(buf + PAGE_SIZE, b"Q")
        assert (parent.load(buf, 3), parent.load(buf + PAGE_SIZE, 2)) == (b"PPI", b"QI")
        if policy in FORGETS:
            return
        machine.limit_frames(None)
        child = parent.fork()
        assert child.load(buf, 3) == b"PPI"
        if policy != "piggin-2009-vma":
            machine.check()


@pytest.mark.needs_ptrace
@pytest.mark.parametrize("policy", ["linux-2.6.29", "torvalds-2009-directed-cow"])
def test_a_real_store_that_gets_no_frame_can_be_tried_again(policy: str) -> None:
    with uemu.Machine(policy) as machine:
        parent = machine.spawn()
        buf = parent.mmap(PAGE_SIZE)
        parent.store(buf, b"I" * PAGE_SIZE)
        child, other = parent.fork(), parent.fork("other")
        machine.limit_frames(len(machine.pfns) + 1)
        parent_first = policy == "torvalds-2009-directed-cow"  # it moves both others
        if not parent_first:
            child.store(buf, b"C")
        with pytest.raises(uemu.Fault, match="ENOMEM"):
            parent.store(buf, b"P")
        loaded = [each.load(buf, 2) for each in (parent, child, other)]
        assert loaded == [b"II", b"II" if parent_first else b"CI", b"II"]
        machine.check()
        machine.limit_frames(None)
        parent.store(buf, b"P")
        loaded = [each.load(buf, 2) for each in (parent, child, other)]
        assert loaded == [b"PI", b"II" if parent_first else b"CI", b"II"]
        machine.check()
