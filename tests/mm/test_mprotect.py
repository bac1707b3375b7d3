"""mprotect: VMAs are split, entries lose the write bit, other CPUs are flushed."""

from __future__ import annotations

import errno

import pytest

from tests.common import ALL_POLICIES, TinyWorld, one_page, run_steps, two_mms
from tests.each import each
from uemu.abi import PAGE_SIZE, PROT_READ, PROT_WRITE
from uemu.errors import Fault
from uemu.events import PageCopied
from uemu.step import run

RW = PROT_READ | PROT_WRITE
every_policy = each("policy", ALL_POLICIES)


@every_policy
def test_read_only_and_back_keeps_the_frame_where_nobody_else_refers_to_it(policy: str) -> None:
    world, parent, buf = one_page(policy)
    page = parent.page(buf)
    parent.mprotect(buf, PROT_READ)
    assert not parent.pte(buf).write
    parent.mprotect(buf, RW)
    parent.store(buf, b"P")
    assert parent.page(buf) is page
    assert world.log(PageCopied) == []
    world.kernel.check(at_rest=True)


@every_policy
def test_making_a_shared_page_writable_does_not_share_stores(policy: str) -> None:
    world, parent, child, buf = two_mms(policy)
    parent.mprotect(buf, RW)
    parent.store(buf, b"P")
    assert child.load(buf) == b"I"
    world.kernel.check(at_rest=True)


def test_only_the_pages_asked_for_change() -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    buf = parent.mmap(3)
    parent.store(buf, b"x" * 3 * PAGE_SIZE)
    parent.mprotect(buf + PAGE_SIZE, PROT_READ)
    parent.store(buf, b"y")
    parent.store(buf + 2 * PAGE_SIZE, b"y")
    with pytest.raises(Fault):
        parent.store(buf + PAGE_SIZE, b"y")
    assert len(parent.mm.vmas) == 3


def test_a_hole_is_refused() -> None:
    _, parent, buf = one_page()
    with pytest.raises(Fault) as caught:
        parent.mprotect(buf, PROT_READ, nr_pages=2)
    assert caught.value.errno == errno.ENOMEM
    assert parent.mm.mmap_lock.is_free()
    parent.store(buf, b"P")


def test_other_cpus_are_flushed_before_it_returns() -> None:
    world, parent, buf = one_page()
    other = world.cpu_of(parent.mm)
    run(world.kernel.user.store(other, parent.mm, buf, b"x"))
    op = world.kernel.mprotect(parent.cpu, parent.mm, buf, PAGE_SIZE, PROT_READ)
    _, taken = run_steps(op)
    assert taken == ["sys_mprotect", "change_pte_range", "flush_tlb_others"]
    with pytest.raises(Fault):
        run(world.kernel.user.store(other, parent.mm, buf, b"y"))


def test_protection_that_stays_the_same_touches_no_entry() -> None:
    world, parent, buf = one_page("linux-5.9")
    region = parent.register(buf, api="io_uring")
    parent.mprotect(buf, PROT_READ | PROT_WRITE)
    assert parent.pte(buf).write
    parent.store(buf, b"P")
    world.device_writes(region, b"D", start=8)
    assert world.kinds() == set()
