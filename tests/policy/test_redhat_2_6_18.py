"""redhat-2.6.18: fork asks page_count under mmap_sem, and nobody gets past it."""

from __future__ import annotations

import pytest

from tests.common import one_page, run_steps, two_mms
from uemu.abi import PAGE_SIZE, PROT_READ, PROT_WRITE, Direction
from uemu.events import PageCopied, TlbFlushed
from uemu.explore import explore
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.world import SimulatedWorld
from uemu.step import run

POLICY = "redhat-2.6.18"
RW = PROT_READ | PROT_WRITE


@pytest.mark.parametrize("direction", Direction)
def test_fork_copies_a_page_under_io_and_leaves_the_parent_writable(direction: Direction) -> None:
    world, parent, buf = one_page(POLICY)
    submit = parent.read_disk if direction is Direction.FROM_DEVICE else parent.write_disk
    submit(buf)
    held = parent.page(buf)
    child = parent.fork()
    assert [event.fn for event in world.log(PageCopied)] == ["copy_one_pte"]
    assert parent.page(buf) is held
    assert parent.pte(buf).write
    assert child.pte(buf).write
    assert repr(held) == "<pfn 0 2/1>"
    world.kernel.check(at_rest=True)


def test_fork_shares_a_page_nobody_holds() -> None:
    world, parent, buf = one_page(POLICY)
    world.complete(parent.read_disk(buf))
    child = parent.fork()
    assert child.page(buf) is parent.page(buf)
    assert not parent.pte(buf).write
    assert world.log(PageCopied) == []


def test_a_registration_survives_fork_too() -> None:
    world, parent, buf = one_page(POLICY)
    registered = parent.register(buf)
    parent.fork()
    parent.store(buf, b"P")
    world.device_writes(registered, b"D", start=1)
    assert parent.load(buf, 2) == b"PD"
    assert world.kinds() == set()


def test_fork_flushes_the_parents_other_cpus_before_it_copies() -> None:
    world, parent, buf = one_page(POLICY)
    other = world.cpu_of(parent.mm)
    parent.read_disk(buf)
    run(world.kernel.fork(parent.cpu, parent.mm))
    log = [event for event in world.events.log() if isinstance(event, TlbFlushed | PageCopied)]
    assert [type(event) for event in log] == [TlbFlushed, PageCopied, TlbFlushed]
    assert other.name == world.log(TlbFlushed)[0].target


def test_direct_io_takes_mmap_sem_at_once() -> None:
    world, parent, buf = one_page(POLICY)
    _, taken = run_steps(
        world.kernel.io.dio_submit(
            parent.cpu, parent.mm, [(buf, PAGE_SIZE)], Direction.FROM_DEVICE, "o_direct"
        )
    )
    assert taken == ["get_user_pages", "follow_page"]


def test_gup_waits_for_fork() -> None:
    world, parent, buf = one_page(POLICY)
    fork = world.kernel.fork(parent.cpu, parent.mm)
    while next(fork).fn != "copy_one_pte":
        pass
    submit = world.kernel.io.dio_submit(
        world.cpu_of(parent.mm), parent.mm, [(buf, PAGE_SIZE)], Direction.FROM_DEVICE, "o_direct"
    )
    assert not next(submit).is_enabled()


def test_in_no_order_a_read_is_lost_to_fork() -> None:
    found = explore(lambda: SimulatedWorld(SCENARIOS["gup-fast-vs-fork"], POLICY))
    assert found.exhaustive
    assert found.verdicts == {}


def test_fork_does_not_examine_an_entry_that_is_read_only_already() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    parent.mprotect(buf, PROT_READ)
    child = parent.fork()
    assert child.page(buf) is parent.page(buf)
    parent.mprotect(buf, RW)
    parent.store(buf, b"P")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert world.kinds() == {"lost-dma-write", "dma-write-seen-by-other"}


def test_a_read_gup_after_fork_takes_the_shared_page() -> None:
    world, parent, child, buf = two_mms(POLICY)
    write = parent.write_disk(buf)
    parent.store(buf, b"P")
    child.store(buf, b"C")
    assert world.device_reads(write) == b"C"
    assert world.kinds() == {"foreign-dma-read"}
