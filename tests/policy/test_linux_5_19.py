"""linux-5.19: PG_anon_exclusive, unsharing, write_protect_seq."""

from __future__ import annotations

import pytest

from tests.common import one_page, two_mms
from tests.mm.test_compound import huge_page
from uemu.abi import PAGE_SIZE, PROT_READ, PROT_WRITE, Direction, Foll
from uemu.errors import InvariantError
from uemu.events import PageCopied
from uemu.mm.grab import gup_release
from uemu.mm.gup import lockless_pages_from_mm
from uemu.policy.linux_5_11 import WRITE_PROTECT_SEQ
from uemu.policy.registry import POLICIES, make_policy
from uemu.scenario.actions import HPAGE_NR
from uemu.step import run

POLICY = "linux-5.19"


def test_a_fresh_page_is_exclusive_and_fork_takes_that_away() -> None:
    _, parent, buf = one_page(POLICY)
    assert parent.page(buf).anon_exclusive.peek()
    parent.fork()
    assert not parent.page(buf).anon_exclusive.peek()


def test_fork_copies_a_pinned_page_and_both_are_exclusive() -> None:
    world, parent, buf = one_page(POLICY)
    parent.register(buf)
    child = parent.fork()
    assert child.page(buf) is not parent.page(buf)
    assert parent.page(buf).anon_exclusive.peek()
    assert child.page(buf).anon_exclusive.peek()
    assert parent.pte(buf).write
    world.kernel.check(at_rest=True)


def test_o_direct_still_gets_and_fork_shares() -> None:
    _, parent, buf = one_page(POLICY)
    assert make_policy(POLICY).gup_kind("o_direct", write=True).foll == Foll.GET | Foll.WRITE
    parent.read_disk(buf)
    assert parent.fork().page(buf) is parent.page(buf)
    assert not parent.page(buf).anon_exclusive.peek()


@pytest.mark.parametrize("api", ["o_direct", "rdma"])
def test_an_exclusive_page_is_reused_whoever_holds_it(api: str) -> None:
    world, parent, buf = one_page(POLICY)
    if api == "rdma":
        parent.register(buf)
    else:
        parent.read_disk(buf)
    parent.mprotect(buf, PROT_READ)
    parent.mprotect(buf, PROT_READ | PROT_WRITE)
    parent.store(buf, b"P")
    assert world.log(PageCopied) == []


def test_the_last_of_a_shared_page_takes_it_over() -> None:
    world, parent, child, buf = two_mms(POLICY)
    page = parent.page(buf)
    child.exit()
    assert not page.anon_exclusive.peek()
    parent.store(buf, b"P")
    assert parent.page(buf) is page
    assert page.anon_exclusive.peek()
    assert world.log(PageCopied) == []


def test_with_a_get_on_it_it_does_not() -> None:
    _, parent, child, buf = two_mms(POLICY)
    page = parent.page(buf)
    parent.write_disk(buf)
    child.exit()
    parent.store(buf, b"P")
    assert parent.page(buf) is not page


def test_a_read_only_pin_of_a_shared_page_unshares_it_first() -> None:
    world, parent, child, buf = two_mms(POLICY)
    shared = child.page(buf)
    vfio = parent.register(buf, writable=False, api="vfio")
    assert parent.page(buf) is not shared
    assert parent.page(buf).anon_exclusive.peek()
    assert not parent.pte(buf).write
    parent.store(buf, b"P")
    assert world.device_reads(vfio) == b"P"
    assert child.load(buf) == b"I"
    assert world.kinds() == set()
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize(("policy", "unshares"), [(POLICY, True), ("linux-5.11", False)])
def test_who_reads_the_memory_of_another_unshares_it_there(policy: str, unshares: bool) -> None:
    """process_vm_readv(2) pins since v5.6; ptrace and /proc/PID/mem get."""
    world, parent, child, buf = two_mms(policy)
    copied = parent.write_disk(buf, api="process_vm")
    assert (parent.page(buf) is not child.page(buf)) is unshares
    assert world.device_reads(copied) == b"I"
    world.complete(copied)
    world.kernel.check(at_rest=True)


def test_a_get_of_a_shared_page_does_not() -> None:
    world, parent, child, buf = two_mms(POLICY)
    parent.write_disk(buf)
    assert parent.page(buf) is child.page(buf)
    assert world.log(PageCopied) == []


def test_a_read_only_pin_of_an_exclusive_page_copies_nothing() -> None:
    world, parent, buf = one_page(POLICY)
    parent.mprotect(buf, PROT_READ)
    parent.register(buf, writable=False, api="vfio")
    assert world.log(PageCopied) == []


def test_unsharing_in_an_area_without_vm_write_ends_and_stays_read_only() -> None:
    world, parent, child, buf = two_mms(POLICY)
    parent.mprotect(buf, PROT_READ)
    parent.register(buf, writable=False, api="vfio")
    assert parent.page(buf) is not child.page(buf)
    assert not parent.pte(buf).write
    world.kernel.check(at_rest=True)


def test_unsharing_what_nobody_shares_any_more_takes_it_over() -> None:
    world, parent, child, buf = two_mms(POLICY)
    page = parent.page(buf)
    child.exit()
    parent.register(buf, writable=False, api="vfio")
    assert parent.page(buf) is page
    assert page.anon_exclusive.peek()
    assert world.log(PageCopied) == []


def test_pinning_a_page_that_is_not_exclusive_is_reported() -> None:
    world, parent, _, buf = two_mms(POLICY)
    hooks = world.hooks
    hooks.must_unshare = lambda *_: False  # type: ignore[attr-defined]
    with pytest.raises(InvariantError) as caught:
        parent.register(buf, writable=False, api="vfio")
    assert caught.value.kind == "not-exclusive"


@pytest.mark.parametrize(
    ("foll", "held"), [(Foll.PIN | Foll.WRITE, 0), (Foll.GET | Foll.WRITE, 1)], ids=["pin", "get"]
)
def test_gup_fast_refuses_to_pin_while_fork_runs(foll: Foll, held: int) -> None:
    world, parent, buf = one_page(POLICY)
    second = parent.mmap()
    parent.store(second, b"x")
    other = world.cpu_of(parent.mm)
    fork = world.kernel.fork(parent.cpu, parent.mm)
    for _ in range(3):  # write_protect_seq is odd, nothing is write-protected yet
        next(fork)
    assert parent.mm.extra("write_protect_seq").peek() == 1
    assert parent.pte(buf).write
    pages = run(lockless_pages_from_mm(world.kernel.mech, other, parent.mm, [buf], foll))
    assert len(pages) == held
    for page in pages:
        gup_release(world.kernel.mech, other, page, foll)
    run(fork)
    assert parent.mm.extra("write_protect_seq").peek() == 4  # two mappings
    pages = run(lockless_pages_from_mm(world.kernel.mech, other, parent.mm, [buf], foll))
    assert pages == []  # write-protected now


def test_gup_fast_gives_its_pins_back_when_fork_ran_meanwhile() -> None:
    world, parent, buf = one_page("linux-6.5")
    other = world.cpu_of(parent.mm)
    submit = world.kernel.io.dio_submit(
        other, parent.mm, [(buf, PAGE_SIZE)], Direction.FROM_DEVICE, "o_direct"
    )
    while next(submit).what != "write_protect_seq same ?":
        pass
    held = parent.page(buf)
    child = parent.fork()
    assert child.page(buf) is not held  # fork saw the pin, and copied
    transfer = run(submit)
    assert [segment.pfn for segment in transfer.segments] == [held.pfn]
    assert held.refcount.peek() == 1 + 1024
    world.kernel.check(at_rest=True)


def test_fork_copies_a_pinned_page_of_hugetlb_and_shares_one_that_is_only_held() -> None:
    world, parent, buf = huge_page(POLICY)
    other = parent.mmap(HPAGE_NR, huge="hugetlb")
    parent.store(other, b"I")
    parent.register(buf + PAGE_SIZE)
    parent.read_disk(other)
    child = parent.fork()
    assert child.page(buf) is not parent.page(buf)
    assert child.page(other) is parent.page(other)
    assert child.load(buf + 3 * PAGE_SIZE) == b"I"
    assert [page.anon_exclusive.peek() for page in (parent.page(buf), child.page(buf))] == [1, 1]
    assert not child.page(other).anon_exclusive.peek()
    assert (parent.pte(buf).write, child.pte(buf).write, child.pte(other).write) == (1, 1, 0)
    world.kernel.check(at_rest=True)


def test_a_read_only_pin_of_shared_hugetlb_unshares_it() -> None:
    world, parent, buf = huge_page(POLICY)
    child = parent.fork()
    held = parent.register(buf, writable=False, api="vfio")
    assert parent.page(buf) is not child.page(buf)
    assert not parent.pte(buf).write
    parent.store(buf, b"P")
    assert world.device_reads(held) == b"P"
    world.release(held)
    world.kernel.check(at_rest=True)


def test_hugetlb_asks_the_mapcount_whoever_holds_the_page() -> None:
    """Unlike a small page, for which page_count is 2."""
    world, parent, buf = huge_page(POLICY)
    read, pfn = parent.read_disk(buf), parent.page(buf).pfn
    parent.fork().exit()
    parent.store(buf, b"P")
    assert parent.page(buf).pfn == pfn
    world.complete(read)
    world.kernel.check(at_rest=True)


def test_hugetlb_no_seq_is_a_variant_of_this_kernel_alone() -> None:
    assert list(POLICIES[POLICY].variants) == ["hugetlb-no-seq"]
    assert not POLICIES["linux-6.5"].variants


@pytest.mark.parametrize(("policy", "counted"), [(POLICY, 2), (f"{POLICY}:hugetlb-no-seq", 0)])
def test_fork_counts_around_hugetlb(policy: str, counted: int) -> None:
    _, parent, _ = huge_page(policy)
    parent.fork()
    assert parent.mm.extra(WRITE_PROTECT_SEQ).peek() == counted
