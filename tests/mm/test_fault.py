"""Page faults: first touch, COW, what the program may not do."""

from __future__ import annotations

import errno

import pytest

from tests.common import ALL_POLICIES, TinyWorld, one_page, run_steps, two_mms
from tests.each import each
from uemu.abi import PAGE_SIZE, PROT_NONE, PROT_READ
from uemu.errors import Fault
from uemu.events import FaultTaken, PageCopied, PageFreed
from uemu.step import Cpu, run

WITH_ZERO_PAGE = ("linux-4.19", "linux-5.8", "linux-5.9", "linux-5.11", "linux-5.19", "linux-6.5")


@each("policy", ALL_POLICIES)
def test_the_first_store_maps_a_zeroed_page(policy: str) -> None:
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap()
    parent.store(buf + 1, b"x")
    assert parent.load(buf, 3) == b"\0x\0"
    assert parent.pte(buf).write
    assert repr(parent.page(buf)).startswith("<pfn 0 1/1")
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("policy", WITH_ZERO_PAGE)
def test_the_first_load_maps_the_zero_page_read_only(policy: str) -> None:
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap(2)
    assert parent.load(buf) == b"\0"
    assert parent.load(buf + PAGE_SIZE) == b"\0"
    assert parent.page(buf) is parent.page(buf + PAGE_SIZE)
    assert not parent.pte(buf).write
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("policy", ["linux-2.6.29", "arcangeli-2009-v2"])
def test_in_2_6_29_a_load_maps_a_page_of_its_own(policy: str) -> None:
    parent = TinyWorld(policy).process()
    buf = parent.mmap()
    assert parent.load(buf) == b"\0"
    assert parent.page(buf).anon


@pytest.mark.parametrize("policy", WITH_ZERO_PAGE)
def test_a_store_over_the_zero_page_gets_a_fresh_page(policy: str) -> None:
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap()
    parent.load(buf)
    zero = parent.page(buf)
    parent.store(buf, b"x")
    assert parent.page(buf) is not zero
    assert parent.load(buf, 2) == b"x\0"
    world.kernel.check(at_rest=True)
    assert world.kernel.mech.frames.read(zero.pfn, 0, 1) == b"\0"


@each("policy", ALL_POLICIES)
def test_a_store_after_fork_is_never_seen_by_the_other(policy: str) -> None:
    world, parent, child, buf = two_mms(policy)
    parent.store(buf, b"P")
    child.store(buf, b"C")
    assert (parent.load(buf, 2), child.load(buf, 2)) == (b"PI", b"CI")
    assert len(world.log(PageCopied)) == 1
    world.kernel.check(at_rest=True)


@each("policy", ALL_POLICIES)
def test_whoever_stores_last_keeps_the_frame(policy: str) -> None:
    world, parent, child, buf = two_mms(policy)
    shared = parent.page(buf)
    child.store(buf, b"C")
    parent.store(buf, b"P")
    assert parent.page(buf) is shared
    assert world.log(PageFreed) == []


def test_without_fork_a_store_copies_nothing() -> None:
    world, parent, buf = one_page()
    parent.store(buf, b"P")
    assert world.log(PageCopied) == []


@each("policy", ALL_POLICIES)
def test_a_copy_is_flushed_from_the_mms_other_cpus_before_it_is_used(policy: str) -> None:
    world, parent, _, buf = two_mms(policy)
    other = world.cpu_of(parent.mm)
    assert run(world.kernel.user.load(other, parent.mm, buf, 1)) == b"I"
    _, taken = run_steps(world.kernel.user.store(parent.cpu, parent.mm, buf, b"P"))
    assert "flush_tlb_others" in taken
    assert run(world.kernel.user.load(other, parent.mm, buf, 1)) == b"P"


@each("policy", ALL_POLICIES)
def test_a_fault_in_a_hole_or_against_the_protection_is_the_programs(policy: str) -> None:
    world, parent, buf = one_page(policy)
    with pytest.raises(Fault) as caught:
        parent.load(buf + PAGE_SIZE)
    assert (caught.value.errno, caught.value.addr) == (errno.EFAULT, buf + PAGE_SIZE)
    parent.mprotect(buf, PROT_READ)
    assert parent.load(buf) == b"I"
    with pytest.raises(Fault):
        parent.store(buf, b"P")
    assert parent.load(buf) == b"I"
    assert parent.mm.mmap_lock.is_free()
    world.kernel.check(at_rest=True)


def test_prot_none_stops_a_fault_on_an_untouched_page() -> None:
    parent = TinyWorld("linux-6.5").process()
    buf = parent.mmap()
    parent.mprotect(buf, PROT_NONE)
    with pytest.raises(Fault):
        parent.load(buf)


def test_two_cpus_that_fault_on_one_page_get_one_frame() -> None:
    world = TinyWorld("linux-2.6.29")
    parent = world.process()
    buf = parent.mmap()
    kernel, mm = world.kernel, parent.mm
    one = kernel.fault(parent.cpu, mm, buf, write=True)
    two = kernel.fault(Cpu("two"), mm, buf, write=True)
    for op in (one, two):  # both stand before do_anonymous_page
        next(op)
        next(op)
    for op in (one, two):
        assert next(op, None) is None
    assert len(kernel.mech.pages) == 1
    kernel.check(at_rest=True)


def test_a_copy_whose_entry_moved_meanwhile_is_given_back() -> None:
    world, parent, _, buf = two_mms()
    kernel, mm = world.kernel, parent.mm
    slow, quick = (kernel.fault(Cpu(name), mm, buf, write=True) for name in ("slow", "quick"))
    for _ in range(4):  # up to wp_page_copy: pte_same ?
        step = next(slow)
    assert (step.fn, step.what) == ("do_wp_page", "pte_same ?")
    run(quick)
    mapped = parent.page(buf)
    assert next(slow, None) is None
    assert parent.page(buf) is mapped
    kernel.check(at_rest=True)


def test_a_fault_is_announced() -> None:
    world, _, buf = one_page()
    assert [(event.addr, event.write) for event in world.log(FaultTaken)] == [(buf, True)]
