"""get_user_pages: what is held, fast or slow, and what is refused."""

from __future__ import annotations

import errno

import pytest

from tests.common import (
    ALL_POLICIES,
    DIRECT_READS_RETURN,
    SECTOR_POLICIES,
    TinyWorld,
    one_page,
    run_steps,
    two_mms,
)
from tests.each import each
from uemu.abi import PAGE_SIZE, PROT_NONE, PROT_READ, Foll
from uemu.errors import Fault
from uemu.mm.grab import gup_release
from uemu.mm.gup import hold_user_pages, lockless_pages_from_mm
from uemu.mm.hooks import GupCall
from uemu.step import run

every_policy = each("policy", ALL_POLICIES)
DIRECTED = ("torvalds-2009-directed-cow", "piggin-2009-one-reader")
LEAKS = "piggin-2009-vma"
SLOW = (
    LEAKS,  # no page that was there before the first gup is had fast
    "linux-2.4-dio-pglock",
    "linux-2.6.7",
    "redhat-2.6.18",
    "kamezawa-2009-dio-lock",
)
has_gup_fast = pytest.mark.parametrize(
    "policy", [name for name in ALL_POLICIES if name not in SLOW]
)
WRITE = Foll.GET | Foll.WRITE


@has_gup_fast
def test_a_writable_page_is_held_without_a_lock(policy: str) -> None:
    world, parent, buf = one_page(policy)
    world.complete(parent.read_disk(buf))  # under piggin-2009-page the first is never fast
    op = hold_user_pages(world.kernel.mech, parent.cpu, parent.mm, buf, 1, GupCall(WRITE, True))
    pages, taken = run_steps(op)
    assert pages == [parent.page(buf)]
    assert taken[0] == "get_user_pages_fast"
    assert not {"get_user_pages", "follow_page", "follow_page_pte"} & set(taken)


@every_policy
def test_a_caller_that_is_not_fast_takes_mmap_lock(policy: str) -> None:
    world, parent, buf = one_page(policy)
    op = hold_user_pages(world.kernel.mech, parent.cpu, parent.mm, buf, 1, GupCall(WRITE, False))
    pages, taken = run_steps(op)
    assert pages == [parent.page(buf)]
    assert taken[0] == "get_user_pages"
    assert parent.mm.mmap_lock.is_free()


@has_gup_fast
def test_gup_fast_runs_with_interrupts_off_and_on_again(policy: str) -> None:
    world, parent, buf = one_page(policy)
    world.complete(parent.read_disk(buf))  # under piggin-2009-page the first is never fast
    op = lockless_pages_from_mm(world.kernel.mech, parent.cpu, parent.mm, [buf], WRITE)
    assert next(op).what == "interrupts off"
    assert not parent.cpu.irqs_off.peek()
    next(op)
    assert parent.cpu.irqs_off.peek()
    assert run(op) == [parent.page(buf)]
    assert not parent.cpu.irqs_off.peek()


@pytest.mark.parametrize(
    "policy",
    [name for name in DIRECT_READS_RETURN if name not in (*DIRECTED, LEAKS)],
)
def test_a_write_gup_breaks_cow_first(policy: str) -> None:
    world, parent, child, buf = two_mms(policy)
    shared = parent.page(buf)
    transfer = parent.read_disk(buf)
    assert parent.page(buf) is not shared
    assert child.page(buf) is shared
    world.device_writes(transfer, b"D")
    world.complete(transfer)
    assert (parent.load(buf), child.load(buf)) == (b"D", b"I")
    assert world.kinds() == set()
    world.kernel.check(at_rest=True)


@every_policy
def test_gup_touches_what_nobody_touched_before(policy: str) -> None:
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap()
    transfer = parent.read_disk(buf)
    world.device_writes(transfer, b"D")
    world.complete(transfer)
    assert parent.load(buf, 2) == b"D\0"
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("policy", SECTOR_POLICIES)
def test_a_buffer_over_several_pages_is_held_page_by_page(policy: str) -> None:
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap(3)
    parent.store(buf, b"I")  # the first page is there: fast, the others slow
    transfer = parent.read_disk(buf + PAGE_SIZE - 512, PAGE_SIZE + 1024)
    assert [s.length for s in transfer.segments] == [512, PAGE_SIZE, 512]
    world.device_writes(transfer, b"D" * (PAGE_SIZE + 1024))
    world.complete(transfer)
    assert parent.load(buf + PAGE_SIZE - 513, PAGE_SIZE + 1026) == (
        b"\0" + b"D" * (PAGE_SIZE + 1024) + b"\0"
    )
    world.kernel.check(at_rest=True)


@every_policy
def test_a_fault_in_the_middle_gives_everything_back(policy: str) -> None:
    world, parent, buf = one_page(policy)
    with pytest.raises(Fault) as caught:
        parent.read_disk(buf, 2 * PAGE_SIZE)
    assert (caught.value.errno, caught.value.addr) == (errno.EFAULT, buf + PAGE_SIZE)
    assert parent.mm.mmap_lock.is_free()
    world.kernel.check(at_rest=True)


@every_policy
def test_a_write_gup_needs_vm_write_and_a_read_gup_vm_read(policy: str) -> None:
    _, parent, buf = one_page(policy)
    parent.mprotect(buf, PROT_READ)
    with pytest.raises(Fault):
        parent.read_disk(buf)
    parent.mprotect(buf, PROT_NONE)
    with pytest.raises(Fault):
        parent.write_disk(buf)


@pytest.mark.parametrize(
    "policy",
    [
        "linux-2.6.29",
        "linux-4.19",
        "linux-5.8",
        "linux-5.9",
        "linux-5.11",
        "linux-5.19",
        "linux-6.5",
    ],
)
def test_foll_force_writes_through_a_read_only_vma(policy: str) -> None:
    world, parent, child, buf = two_mms(policy)
    parent.mprotect(buf, PROT_READ)
    call = GupCall(WRITE | Foll.FORCE, False)
    (page,) = run(hold_user_pages(world.kernel.mech, parent.cpu, parent.mm, buf, 1, call))
    assert page is parent.page(buf)
    assert page is not child.page(buf)
    assert not parent.pte(buf).write
    gup_release(world.kernel.mech, parent.cpu, page, call.foll)
    world.kernel.check(at_rest=True)


def test_without_foll_force_it_does_not() -> None:
    world, parent, buf = one_page()
    parent.mprotect(buf, PROT_READ)
    op = hold_user_pages(world.kernel.mech, parent.cpu, parent.mm, buf, 1, GupCall(WRITE, False))
    with pytest.raises(Fault):
        run(op)
