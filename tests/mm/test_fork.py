"""fork: what the child gets, whatever the policy; what the VMA flags ask for."""

from __future__ import annotations

import errno

import pytest

from tests.common import (
    ALL_POLICIES,
    FORK_WAITS,
    FORK_WAITS_FOR_ALL,
    TinyWorld,
    one_page,
    run_steps,
    two_mms,
)
from tests.each import each
from uemu.abi import (
    MADV_DOFORK,
    MADV_DONTFORK,
    MADV_KEEPONFORK,
    MADV_WIPEONFORK,
    PAGE_SIZE,
    PROT_NONE,
    PROT_READ,
)
from uemu.errors import Fault, ProcessDied
from uemu.events import Forked, MmCreated, PageCopied
from uemu.step import run

every_policy = each("policy", ALL_POLICIES)


@every_policy
def test_an_unheld_page_is_shared_read_only(policy: str) -> None:
    world, parent, child, buf = two_mms(policy)
    assert parent.page(buf) is child.page(buf)
    assert not parent.pte(buf).write
    assert not child.pte(buf).write
    assert repr(parent.page(buf)) == "<pfn 0 2/2>"
    assert world.log(PageCopied) == []
    world.kernel.check(at_rest=True)


@every_policy
def test_the_child_sees_what_the_parent_had(policy: str) -> None:
    _, parent, child, buf = two_mms(policy)
    assert child.load(buf, PAGE_SIZE) == parent.load(buf, PAGE_SIZE) == b"I" * PAGE_SIZE


@every_policy
def test_an_untouched_page_stays_untouched(policy: str) -> None:
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap()
    child = parent.fork()
    assert world.kernel.mech.pages == {}
    child.store(buf, b"C")
    assert parent.load(buf) == b"\0"


@pytest.mark.parametrize(
    "policy", ["linux-4.19", "linux-5.8", "linux-5.9", "linux-5.11", "linux-5.19", "linux-6.5"]
)
def test_the_zero_page_is_shared_uncounted(policy: str) -> None:
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap()
    parent.load(buf)
    child = parent.fork()
    assert child.page(buf) is parent.page(buf)
    assert child.page(buf).mapcount.peek() == 0
    world.kernel.check(at_rest=True)


@every_policy
def test_a_page_made_read_only_before_fork_is_shared_too(policy: str) -> None:
    world, parent, buf = one_page(policy)
    first = parent.fork("first")
    second = parent.fork("second")
    assert repr(parent.page(buf)) == "<pfn 0 3/3>"
    assert first.page(buf) is second.page(buf)
    world.kernel.check(at_rest=True)


@every_policy
def test_madv_dontfork_leaves_the_page_alone_until_dofork(policy: str) -> None:
    world, parent, buf = one_page(policy)
    parent.madvise(buf, MADV_DONTFORK)
    without = parent.fork("without")
    assert parent.pte(buf).write
    assert without.mm.vmas == []
    with pytest.raises(Fault):
        without.load(buf)
    parent.madvise(buf, MADV_DOFORK)
    assert parent.fork("with").load(buf) == b"I"
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize(
    "policy", ["linux-4.19", "linux-5.8", "linux-5.9", "linux-5.11", "linux-5.19", "linux-6.5"]
)
def test_madv_wipeonfork_gives_the_child_zeros_until_keeponfork(policy: str) -> None:
    world, parent, buf = one_page(policy)
    parent.madvise(buf, MADV_WIPEONFORK)
    wiped = parent.fork("wiped")
    assert parent.pte(buf).write
    assert wiped.load(buf) == b"\0"
    parent.madvise(buf, MADV_KEEPONFORK)
    assert parent.fork("kept").load(buf) == b"I"
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("policy", ["linux-2.6.29", "arcangeli-2009-v2"])
def test_2_6_29_knows_no_wipeonfork(policy: str) -> None:
    _, parent, buf = one_page(policy)
    with pytest.raises(Fault) as caught:
        parent.madvise(buf, MADV_WIPEONFORK)
    assert caught.value.errno == errno.EINVAL


@every_policy
def test_fork_holds_mmap_lock_for_writing_to_its_end(policy: str) -> None:
    world, parent, buf = one_page(policy)
    op = world.kernel.fork(parent.cpu, parent.mm)
    next(op)
    assert parent.mm.mmap_lock.is_free()
    while not parent.mm.mmap_lock.writer.peek():
        next(op)
    fault = world.kernel.fault(parent.cpu, parent.mm, buf, write=True)
    assert not next(fault).is_enabled()
    for _ in op:
        assert parent.mm.mmap_lock.writer.peek()
    assert parent.mm.mmap_lock.is_free()


@every_policy
def test_the_parents_other_cpus_are_flushed_at_the_end(policy: str) -> None:
    world, parent, buf = one_page(policy)
    other = world.cpu_of(parent.mm)
    run(world.kernel.user.store(other, parent.mm, buf, b"x"))
    child, taken = run_steps(world.kernel.fork(parent.cpu, parent.mm))
    assert taken[-1] == "flush_tlb_others"
    run(world.kernel.user.store(other, parent.mm, buf, b"P"))
    assert run(world.kernel.user.load(world.cpu_of(child), child, buf, 1)) == b"x"


def test_before_the_flush_another_cpu_still_stores_into_the_shared_frame() -> None:
    world, parent, buf = one_page()
    other = world.cpu_of(parent.mm)
    run(world.kernel.user.store(other, parent.mm, buf, b"x"))
    op = world.kernel.fork(parent.cpu, parent.mm)
    while next(op).fn != "flush_tlb_others":
        pass
    run(world.kernel.user.store(other, parent.mm, buf, b"y"))
    child = world.process(run(op))
    assert child.load(buf) == b"y"


def test_fork_is_announced_after_the_child_began() -> None:
    world, parent, child, _ = two_mms()
    assert world.log(MmCreated)[-1] == MmCreated(child.mm.id, "child", parent.mm.id)
    assert world.log(Forked) == [Forked(parent.cpu.name, parent.mm.id, child.mm.id)]


def test_a_new_mapping_of_the_child_does_not_collide() -> None:
    _, parent, child, buf = two_mms()
    assert child.mmap() == parent.mmap() > buf


@pytest.mark.parametrize(
    ("policy", "api"),
    [(policy, "rdma") for policy in ALL_POLICIES if policy not in FORK_WAITS_FOR_ALL]
    + [(policy, "o_direct") for policy in ALL_POLICIES if policy not in FORK_WAITS],
)
def test_a_held_page_without_access_gives_the_child_no_access(policy: str, api: str) -> None:
    _, parent, buf = one_page(policy)
    if api == "rdma":
        parent.register(buf)
    else:
        parent.read_disk(buf)
    parent.mprotect(buf, PROT_NONE)
    child = parent.fork()
    with pytest.raises(Fault):
        child.load(buf)
    child.mprotect(buf, PROT_READ)
    assert child.load(buf) == b"I"


@pytest.mark.parametrize("policy", FORK_WAITS)
def test_whoever_dies_before_mmap_sem_is_free_gives_back_what_fork_took_first(policy: str) -> None:
    world, parent, _ = one_page(policy)
    parent.mm.mmap_lock.down_read(parent.cpu)
    op = world.kernel.fork(parent.cpu, parent.mm)
    while next(op).is_enabled():
        pass
    with pytest.raises(ProcessDied):
        op.throw(ProcessDied(17, "was killed by SIGKILL", "a call"))
    parent.mm.mmap_lock.up_read(parent.cpu)
    parent.fork()
