"""Shared memory: one page for all who map it, whatever fork, stores and devices do."""

from __future__ import annotations

import errno

import pytest

from tests.common import ALL_POLICIES, FORK_WAITS_FOR_ALL, Process, TinyWorld
from tests.each import each
from uemu.abi import (
    MADV_DONTFORK,
    MADV_DONTNEED,
    MADV_WIPEONFORK,
    PAGE_SIZE,
    PROT_READ,
    PROT_WRITE,
)
from uemu.errors import Fault, InvariantError
from uemu.events import PageFreed, SharedPageAdded
from uemu.explore import explore
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.vma import Vma
from uemu.policy.registry import make_policy
from uemu.scenario.actions import Fork, Load, Mmap, Munmap, Store
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op, run

while_in_flight = pytest.mark.parametrize(
    "policy", [name for name in ALL_POLICIES if not make_policy(name).makes_wait]
)
"""Those whose fork does not wait until the transfer is over."""

every_policy = each("policy", ALL_POLICIES)


def shared_page(policy: str = "linux-2.6.29", nr_pages: int = 1) -> tuple[TinyWorld, Process, int]:
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap(nr_pages, shared=True)
    parent.store(buf, b"I" * PAGE_SIZE)
    return world, parent, buf


@while_in_flight
def test_a_direct_read_over_fork_is_seen_by_all(policy: str) -> None:
    world, parent, buf = shared_page(policy)
    read = parent.read_disk(buf)
    child = parent.fork()
    parent.store(buf, b"P")
    child.store(buf + 1, b"C")
    world.device_writes(read, b"D" * 512, 0)
    parent.store(buf + 8, b"Q")
    assert child.load(buf, 9) == b"D" * 8 + b"Q"
    world.complete(read)
    assert parent.load(buf, 9) == b"D" * 8 + b"Q"
    assert parent.page(buf) is child.page(buf)
    assert world.kinds() == set()
    world.kernel.check(at_rest=True)


@while_in_flight
def test_a_direct_write_takes_what_anybody_stored(policy: str) -> None:
    world, parent, buf = shared_page(policy)
    write = parent.write_disk(buf)
    child = parent.fork()
    child.store(buf, b"C")
    assert world.device_reads(write) == b"C"
    world.complete(write)
    assert world.kinds() == set()
    world.kernel.check(at_rest=True)


@every_policy
def test_a_registration_stays_with_the_page(policy: str) -> None:
    world, parent, buf = shared_page(policy)
    child = None
    registration = parent.register(buf, writable=False, api="vfio")
    if policy not in FORK_WAITS_FOR_ALL:
        child = parent.fork()
        child.store(buf, b"C")
    parent.store(buf + 1, b"P")
    assert world.device_reads(registration, 2) == (b"CP" if child else b"IP")
    world.release(registration)
    assert world.kinds() == set()
    world.kernel.check(at_rest=True)


def test_private_memory_loses_the_same_read() -> None:
    world = TinyWorld("linux-2.6.29")
    parent = world.process()
    buf = parent.mmap()
    parent.store(buf, b"I")
    read = parent.read_disk(buf)
    child = parent.fork()
    parent.store(buf, b"P")
    world.device_writes(read, b"D")
    world.complete(read)
    assert parent.page(buf) is not child.page(buf)
    assert "lost-dma-write" in world.kinds()


def test_fork_copies_no_entry_and_the_child_finds_the_page_by_a_fault() -> None:
    _, parent, buf = shared_page()
    child = parent.fork()
    assert buf not in child.mm.ptes
    assert child.load(buf) == b"I"
    assert child.pte(buf).write
    assert parent.pte(buf).write
    assert parent.page(buf).mapcount.peek() == 2
    assert parent.page(buf).refcount.peek() == 3


def test_the_page_is_there_for_who_comes_first_be_it_the_child() -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    buf = parent.mmap(2, shared=True)
    child = parent.fork()
    child.store(buf + PAGE_SIZE, b"C")
    assert parent.load(buf + PAGE_SIZE) == b"C"
    assert parent.load(buf) == b"\0"
    assert len(world.log(SharedPageAdded)) == 2
    world.kernel.check(at_rest=True)


def test_it_lives_as_long_as_somebody_maps_it() -> None:
    world, parent, buf = shared_page(nr_pages=2)
    child = parent.fork()
    parent.munmap(buf, 2)
    assert world.log(PageFreed) == []
    assert child.load(buf) == b"I"
    child.munmap(buf + PAGE_SIZE)
    assert world.log(PageFreed) == []
    child.exit()
    assert len(world.log(PageFreed)) == 1
    world.kernel.check(at_rest=True)


def test_a_device_keeps_its_page_when_nobody_maps_the_object() -> None:
    world, parent, buf = shared_page()
    read = parent.read_disk(buf)
    parent.munmap(buf)
    assert world.log(PageFreed) == []
    world.complete(read)
    assert len(world.log(PageFreed)) == 1
    assert world.kinds() == set()


def test_split_and_moved_areas_show_the_same_pages() -> None:
    world, parent, buf = shared_page(nr_pages=3)
    parent.store(buf + 2 * PAGE_SIZE, b"3")
    child = parent.fork()
    child.munmap(buf + PAGE_SIZE)
    new = run(
        world.kernel.mremap(child.cpu, child.mm, buf + 2 * PAGE_SIZE, PAGE_SIZE, 2 * PAGE_SIZE)
    )
    assert child.load(new) == b"3"
    child.madvise(new, MADV_DONTNEED)
    assert child.load(new) == b"3"
    child.store(new, b"4")
    assert parent.load(buf + 2 * PAGE_SIZE) == b"4"
    with pytest.raises(Fault, match="behind the end of shared memory"):
        child.load(new + PAGE_SIZE)
    world.kernel.check(at_rest=True)


def test_mprotect_and_back_makes_it_writable_without_a_fault() -> None:
    world, parent, buf = shared_page()
    parent.mprotect(buf, PROT_READ)
    assert not parent.pte(buf).write
    with pytest.raises(Fault):
        parent.store(buf, b"x")
    parent.mprotect(buf, PROT_READ | PROT_WRITE)
    assert parent.pte(buf).write
    world.kernel.check(at_rest=True)


def test_a_store_after_clear_refs_keeps_the_page() -> None:
    world, parent, buf = shared_page("linux-5.9")
    child = parent.fork()
    page = parent.page(buf)
    run(world.kernel.clear_refs(parent.cpu, parent.mm))
    assert not parent.pte(buf).write
    parent.store(buf, b"P")
    assert parent.page(buf) is page
    assert child.load(buf) == b"P"
    world.kernel.check(at_rest=True)


def test_a_kernel_that_asks_the_policy_would_part_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def do_wp_page(mech: Mechanism, cpu: Cpu, mm: MmStruct, vma: Vma, base: int) -> Op[None]:
        return mech.hooks.do_wp_page(cpu, mm, vma, base)

    monkeypatch.setattr("uemu.mm.fault.wp_page_shared", do_wp_page)
    world, parent, buf = shared_page("linux-5.9")
    child = parent.fork()
    run(world.kernel.clear_refs(parent.cpu, parent.mm))
    parent.store(buf, b"P")
    assert child.load(buf) == b"I"


def test_advice_about_fork() -> None:
    world, parent, buf = shared_page("linux-6.5")
    with pytest.raises(Fault, match="MADV_WIPEONFORK of shared memory") as caught:
        parent.madvise(buf, MADV_WIPEONFORK)
    assert caught.value.errno == errno.EINVAL
    parent.madvise(buf, MADV_DONTFORK)
    with pytest.raises(Fault):
        parent.fork().load(buf)
    world.kernel.check(at_rest=True)


def test_what_the_kernel_would_move_stays() -> None:
    world, parent, buf = shared_page("linux-6.5")
    kernel, device = world.kernel, world.device
    other = parent.mmap(shared=True)
    parent.store(other, b"I" * PAGE_SIZE)
    assert run(kernel.swap_out(device, parent.mm, buf)) == "it is shared memory"
    assert run(kernel.migrate(device, parent.mm, buf)) == "it is shared memory"
    merged = run(kernel.ksm_merge(device, (parent.mm, buf), (parent.mm, other)))
    assert merged == "the first is not there"
    world.kernel.check(at_rest=True)


def test_no_frame_left_is_enomem() -> None:
    world, parent, buf = shared_page(nr_pages=2)
    world.kernel.mech.frame_limit = 1
    with pytest.raises(Fault) as caught:
        parent.store(buf + PAGE_SIZE, b"x")
    assert caught.value.errno == errno.ENOMEM
    assert parent.load(buf) == b"I"
    world.kernel.check(at_rest=True)


def test_an_object_that_outlives_its_last_area_is_found() -> None:
    world, parent, buf = shared_page()
    vma = parent.mm.find_vma(buf)
    assert vma is not None
    parent.madvise(buf, MADV_DONTNEED)
    parent.mm.remove_vma(vma)
    with pytest.raises(InvariantError, match="which nobody maps"):
        world.kernel.check(at_rest=True)


def _touch(stage: Stage) -> Script:
    yield Store(stage.buf + PAGE_SIZE, b"P")


def _child_touches(stage: Stage) -> Script:
    yield Load(stage.buf + PAGE_SIZE, 1)
    yield Munmap(stage.buf, 2 * PAGE_SIZE)


def _setup(stage: Stage) -> Script:
    stage.buf = yield Mmap(2 * PAGE_SIZE, shared=True)
    yield Fork("child")


def test_two_who_touch_it_first_at_once_get_one_page() -> None:
    scenario = Scenario(
        "made-up", "made up", _setup, {"cpu": _touch}, {"child": _child_touches}, "cpu child"
    )
    result = explore(lambda: SimulatedWorld(scenario, "linux-6.5"))
    assert result.exhaustive
    assert result.schedules > 10
    assert not result.verdicts
