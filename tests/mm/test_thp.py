"""Transparent huge pages: first touch, fork, write faults, and what splits an entry."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from tests.common import Process, TinyWorld, run_steps
from tests.mm.test_compound import HPAGE
from uemu.abi import (
    MADV_DONTFORK,
    MADV_DONTNEED,
    PAGE_SIZE,
    PROT_READ,
    PROT_WRITE,
)
from uemu.errors import Fault
from uemu.events import PageCopied, PageFreed, PteSet
from uemu.mm.grab import gup_release
from uemu.mm.gup import hold_user_pages
from uemu.mm.page import page_count, page_mapcount
from uemu.mm.pte import Pte
from uemu.mm.thp import split_huge_pmd
from uemu.policy.registry import POLICIES
from uemu.scenario.actions import HPAGE_NR
from uemu.step import Cpu, RecordingCpu, run

WITH_THP = tuple(name for name, policy in POLICIES.items() if policy.has_thp)


def thp(policy: str = "linux-6.5", nr: int = 1) -> tuple[TinyWorld, Process, int]:
    """A process that filled ``nr`` transparent huge pages with ``I``."""
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap(nr * HPAGE_NR, huge="thp")
    parent.store(buf, b"I" * (nr * HPAGE))
    return world, parent, buf


def is_huge(process: Process, addr: int) -> bool:
    """Whether a huge entry maps what is there."""
    cell = process.mm.pmd_over(addr)
    return cell is not None and cell.peek() is not None


def test_they_came_with_2_6_38() -> None:
    assert WITH_THP == (
        "linux-4.19", "linux-5.8", "linux-5.9", "linux-5.11", "hubbard-2021-locked-pages",
        "kara-2021-unmap-if-not-pinned", "hildenbrand-2021-model1", "hildenbrand-2021-model2",
        "linux-5.19", "linux-6.5",
    )  # fmt: skip
    with pytest.raises(Fault, match=r"transparent huge pages under linux-2\.6\.29") as caught:
        TinyWorld("linux-2.6.29").process().mmap(HPAGE_NR, huge="thp")
    assert caught.value.errno == errno.EINVAL


# First touch


def test_the_first_touch_of_a_block_maps_all_of_it() -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    buf = parent.mmap(2 * HPAGE_NR, huge="thp")
    parent.store(buf + PAGE_SIZE, b"P")
    assert is_huge(parent, buf)
    assert not is_huge(parent, buf + HPAGE)
    assert parent.load(buf) == b"\0"
    head = parent.page(buf)
    assert (head.nr, head.hugetlb, head.anon_exclusive.peek()) == (HPAGE_NR, False, True)
    world.kernel.check(at_rest=True)


def test_without_memory_for_a_huge_page_there_are_small_ones() -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    buf = parent.mmap(HPAGE_NR, huge="thp")
    world.kernel.mech.frame_limit = HPAGE_NR - 1
    parent.store(buf, b"P")
    assert not is_huge(parent, buf)
    assert parent.page(buf).nr == 1
    world.kernel.mech.frame_limit = None
    parent.store(buf + PAGE_SIZE, b"P")
    assert not is_huge(parent, buf), "what is there already is not made huge"


def test_dropped_as_a_whole_it_is_huge_again_and_in_part_it_is_not() -> None:
    world, parent, buf = thp()
    parent.madvise(buf, MADV_DONTNEED, HPAGE_NR)
    assert parent.load(buf) == b"\0"
    assert is_huge(parent, buf)
    parent.madvise(buf, MADV_DONTNEED)
    assert parent.load(buf) == b"\0"
    assert not is_huge(parent, buf)
    world.kernel.check(at_rest=True)


def test_a_small_page_is_not_mapped_where_a_huge_one_is_by_then() -> None:
    """Linux: pmd_trans_unstable()."""
    world, parent, buf = thp()
    parent.madvise(buf, MADV_DONTNEED)
    fault = world.kernel.fault(parent.cpu, parent.mm, buf, write=True)
    next(step for step in fault if step.fn == "do_anonymous_page")
    parent.madvise(buf, MADV_DONTNEED, HPAGE_NR)
    parent.store(buf + PAGE_SIZE, b"P")
    assert is_huge(parent, buf)
    run(fault)
    world.kernel.check(at_rest=True)


# A huge entry is split


def test_a_split_maps_the_same_frames_and_tells_nobody() -> None:
    world, parent, buf = thp()
    before = [parent.pte(buf + i * PAGE_SIZE) for i in range(HPAGE_NR)]
    told = len(world.log(PteSet))
    run(split_huge_pmd(world.kernel.mech, parent.cpu, parent.mm, buf))
    assert not is_huge(parent, buf)
    assert [parent.pte(buf + i * PAGE_SIZE) for i in range(HPAGE_NR)] == before
    assert len(world.log(PteSet)) == told
    head = parent.page(buf)
    assert page_count(parent.cpu, head) == HPAGE_NR
    assert all(page.anon_exclusive.peek() for page in world.kernel.mech.subpages(head))
    world.kernel.check(at_rest=True)
    run(split_huge_pmd(world.kernel.mech, parent.cpu, parent.mm, buf))
    assert page_count(parent.cpu, head) == HPAGE_NR


def test_a_split_waits_for_cpus_that_run_gup_fast() -> None:
    world, parent, buf = thp()
    other = world.cpu_of(parent.mm)
    op = split_huge_pmd(world.kernel.mech, parent.cpu, parent.mm, buf)
    next(op)
    other.irqs_off.value = True
    ipi = next(op)
    assert ipi.fn == "flush_tlb_others"
    assert not ipi.is_enabled()
    assert parent.mm.shows(buf) is None, "nobody finds the pages meanwhile"
    other.irqs_off.value = False
    run(op)
    assert parent.load(buf) == b"I"


@pytest.mark.parametrize("part", ["first", "last"])
@pytest.mark.parametrize("call", ["munmap", "mprotect", "dontneed", "dontfork", "mremap"])
def test_a_call_on_a_part_splits_and_leaves_the_rest(call: str, part: str) -> None:
    world, parent, buf = thp("linux-5.11")
    frames = [parent.pte(buf + i * PAGE_SIZE).pfn for i in range(HPAGE_NR)]
    at = 0 if part == "first" else HPAGE_NR - 1
    addr = buf + at * PAGE_SIZE
    match call:
        case "munmap":
            parent.munmap(addr)
        case "mprotect":
            parent.mprotect(addr, PROT_READ)
        case "dontneed":
            parent.madvise(addr, MADV_DONTNEED)
        case "dontfork":
            parent.madvise(addr, MADV_DONTFORK)
        case "mremap":
            run(world.kernel.mremap(parent.cpu, parent.mm, addr, PAGE_SIZE, PAGE_SIZE))
    assert not is_huge(parent, buf)
    assert world.log(PageFreed) == [], "the frames go together"
    for i in set(range(HPAGE_NR)) - {at}:
        assert parent.pte(buf + i * PAGE_SIZE).pfn == frames[i]
    world.kernel.check(at_rest=True)
    assert parent.mm.mmap_lock.is_free()
    parent.exit()
    assert sorted(event.pfn for event in world.log(PageFreed)) == frames


@pytest.mark.parametrize("call", ["munmap", "mprotect", "dontfork", "mremap"])
def test_a_call_on_the_whole_splits_nothing(call: str) -> None:
    world, parent, buf = thp("linux-5.11", nr=2)
    second = buf + HPAGE
    match call:
        case "munmap":
            parent.munmap(second, HPAGE_NR)
            assert len(world.log(PageFreed)) == HPAGE_NR
        case "mprotect":
            parent.mprotect(second, PROT_READ, HPAGE_NR)
            assert is_huge(parent, second)
            assert not parent.pte(second).write
        case "dontfork":
            parent.madvise(second, MADV_DONTFORK, HPAGE_NR)
            assert is_huge(parent, second)
            assert parent.fork().mm.shows(second) is None
        case "mremap":
            to = run(world.kernel.mremap(parent.cpu, parent.mm, second, HPAGE, HPAGE))
            assert is_huge(parent, to)
            assert parent.load(to) == b"I"
    assert is_huge(parent, buf)
    world.kernel.check(at_rest=True)


def test_the_frames_wait_for_the_last_reference_to_any_part() -> None:
    world, parent, buf = thp()
    write = parent.write_disk(buf + 2 * PAGE_SIZE)
    parent.munmap(buf, HPAGE_NR)
    assert world.log(PageFreed) == []
    world.complete(write)
    assert len(world.log(PageFreed)) == HPAGE_NR


def test_who_looks_at_a_page_in_a_split_entry_reads_both() -> None:
    world, parent, buf = thp()
    run(split_huge_pmd(world.kernel.mech, parent.cpu, parent.mm, buf))
    cpu = RecordingCpu("looks")
    parent.mm.walk(cpu, buf)
    assert cpu.take_accesses().reads == {("pmd", parent.mm.id, buf), ("pte", parent.mm.id, buf)}


# fork


@pytest.mark.parametrize("policy", WITH_THP)
def test_fork_shares_a_huge_page_that_nobody_holds(policy: str) -> None:
    world, parent, buf = thp(policy)
    child = parent.fork()
    assert is_huge(parent, buf)
    assert is_huge(child, buf)
    head = parent.page(buf)
    assert child.page(buf) is head
    assert not parent.pte(buf).write
    assert not head.anon_exclusive.peek()
    assert (page_count(parent.cpu, head), page_mapcount(parent.cpu, head)) == (2, 2)
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize(
    ("policy", "copied"),
    [(policy, 0 if policy in ("linux-4.19", "linux-5.8") else HPAGE_NR) for policy in WITH_THP],
)
def test_of_a_pinned_one_every_page_is_copied(policy: str, copied: int) -> None:
    """The pins are the huge page's: which of its pages they are to nobody can tell."""
    world, parent, buf = thp(policy)
    registration = parent.register(buf + 2 * PAGE_SIZE)
    child = parent.fork()
    assert len(world.log(PageCopied)) == copied
    assert is_huge(child, buf) == (not copied)
    assert parent.pte(buf).write == bool(copied)
    world.release(registration)
    world.kernel.check(at_rest=True)


def test_of_two_huge_pages_fork_splits_the_pinned_one() -> None:
    _world, parent, buf = thp("linux-5.9", nr=2)
    parent.register(buf + HPAGE)
    child = parent.fork()
    assert is_huge(child, buf)
    assert not is_huge(child, buf + HPAGE)


def test_what_is_split_after_it_was_shared_is_not_shared_again() -> None:
    world, parent, buf = thp("linux-4.19", nr=2)
    mech, fork = world.kernel.mech, world.kernel.fork(parent.cpu, parent.mm)
    while not any(mm.shows(buf) for mm in mech.mms.values() if mm is not parent.mm):
        assert next(fork).fn in ("dup_mmap", "copy_huge_pmd")
    run(split_huge_pmd(mech, Cpu("kswapd"), parent.mm, buf))
    child = world.process(run(fork))
    assert not is_huge(parent, buf)
    assert is_huge(child, buf)
    world.kernel.check(at_rest=True)


def test_pages_of_a_split_entry_are_shared_one_by_one() -> None:
    world, parent, buf = thp("linux-5.11")
    run(split_huge_pmd(world.kernel.mech, parent.cpu, parent.mm, buf))
    child = parent.fork()
    assert world.log(PageCopied) == []
    assert page_count(parent.cpu, child.page(buf)) == 2 * HPAGE_NR
    world.kernel.check(at_rest=True)


# Write faults


def stored(world: TinyWorld) -> list[str]:
    """What copied, page by page."""
    return [event.fn for event in world.log(PageCopied)]


@pytest.mark.parametrize("policy", WITH_THP)
def test_a_store_to_a_shared_one_copies_all_or_one(policy: str) -> None:
    """3917c80280c9 ("thp: change CoW semantics for anon-THP") (in v5.8)."""
    world, parent, buf = thp(policy)
    child = parent.fork()
    parent.store(buf + PAGE_SIZE, b"P")
    if policy == "linux-4.19":
        assert stored(world) == ["copy_user_huge_page"] * HPAGE_NR
        assert is_huge(parent, buf)
    else:
        assert stored(world) == ["cow_user_page"]
        assert not is_huge(parent, buf)
        assert parent.page(buf) is child.page(buf)
    assert is_huge(child, buf)
    assert parent.page(buf + PAGE_SIZE) is not child.page(buf + PAGE_SIZE)
    assert child.load(buf + PAGE_SIZE) == b"I"
    world.kernel.check(at_rest=True)


def test_without_memory_for_a_copy_of_all_4_19_splits_too() -> None:
    world, parent, buf = thp("linux-4.19")
    parent.fork()
    world.kernel.mech.frame_limit = HPAGE_NR + 1
    parent.store(buf, b"P")
    assert not is_huge(parent, buf)
    assert stored(world) == ["cow_user_page"]
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize(
    ("policy", "copies"),
    [("linux-4.19", 0), ("linux-5.8", 1), ("linux-5.11", 1), ("linux-5.19", 1)],
)
def test_one_page_that_is_shared_makes_all_of_them_so(policy: str, copies: int) -> None:
    """What nobody else maps any more is copied nevertheless, while the rest is shared."""
    world, parent, buf = thp(policy)
    child = parent.fork()
    parent.store(buf, b"P")
    before = len(stored(world))
    child.store(buf, b"C")
    assert len(stored(world)) - before == copies
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("policy", WITH_THP)
def test_alone_again_who_stores_reuses_all_of_it(policy: str) -> None:
    world, parent, buf = thp(policy)
    parent.fork().exit()
    parent.store(buf, b"P")
    assert stored(world) == []
    assert is_huge(parent, buf)
    assert parent.pte(buf + PAGE_SIZE).write


@pytest.mark.parametrize("policy", WITH_THP)
def test_mprotect_and_back_loses_no_huge_page(policy: str) -> None:
    """Unlike a small page under 5.9 and 5.11: here it is the mapcounts that are asked."""
    world, parent, buf = thp(policy)
    parent.register(buf)
    for prot in (PROT_READ, PROT_READ | PROT_WRITE):
        parent.mprotect(buf, prot, HPAGE_NR)
    assert not parent.pte(buf).write
    parent.store(buf, b"P")
    assert stored(world) == []


def test_clear_refs_asks_nobody_about_a_huge_page() -> None:
    world, parent, buf = thp("linux-5.11")
    parent.register(buf)
    run(world.kernel.clear_refs(parent.cpu, parent.mm))
    assert is_huge(parent, buf)
    assert not parent.pte(buf).write
    parent.store(buf, b"P")
    assert stored(world) == []


# get_user_pages


@pytest.mark.parametrize("policy", WITH_THP)
@pytest.mark.parametrize("fast", [True, False])
def test_gup_takes_pages_of_a_huge_entry_fast_and_slow(policy: str, fast: bool) -> None:
    world, parent, buf = thp(policy)
    mech, call = world.kernel.mech, world.hooks.gup_kind("o_direct", write=True)
    op = hold_user_pages(mech, parent.cpu, parent.mm, buf, HPAGE, replace(call, fast=fast))
    pages, steps = run_steps(op)
    assert ("follow_trans_huge_pmd" in steps) == (not fast)
    assert pages == mech.subpages(parent.page(buf))
    assert page_count(parent.cpu, pages[0]) == 1 + HPAGE_NR
    for page in pages:
        gup_release(mech, parent.cpu, page, call.foll)
    assert is_huge(parent, buf)
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("policy", WITH_THP)
def test_a_write_gup_of_a_shared_one_breaks_cow_first(policy: str) -> None:
    world, parent, buf = thp(policy)
    child = parent.fork()
    read = parent.read_disk(buf)
    assert parent.page(buf) is not child.page(buf)
    world.device_writes(read, b"D" * PAGE_SIZE)
    world.complete(read)
    assert (parent.load(buf), child.load(buf)) == (b"D", b"I")
    world.kernel.check(at_rest=True)


def test_a_read_only_pin_of_a_shared_one_unshares_one_page() -> None:
    """a7f226604170 ("mm/gup: trigger FAULT_FLAG_UNSHARE ...")."""
    world, parent, buf = thp("linux-6.5")
    child = parent.fork()
    registration = parent.register(buf, writable=False, api="vfio")
    assert stored(world) == ["cow_user_page"]
    assert parent.page(buf) is not child.page(buf)
    assert parent.page(buf + PAGE_SIZE) is child.page(buf + PAGE_SIZE)
    world.release(registration)
    world.kernel.check(at_rest=True)


def test_an_entry_that_gup_found_huge_may_be_split_by_then() -> None:
    world, parent, buf = thp("linux-5.11")
    slow = world.hooks.follow_trans_huge_pmd
    vma = parent.mm.find_vma(buf)
    assert vma is not None
    run(split_huge_pmd(world.kernel.mech, parent.cpu, parent.mm, buf))
    assert (
        run(slow(parent.cpu, parent.mm, vma, buf, world.hooks.gup_kind("rdma", write=True).foll))
        is None
    )
    registration = parent.register(buf)
    world.release(registration)
    world.kernel.check(at_rest=True)


def test_a_huge_entry_says_how_many_pages_it_maps() -> None:
    _world, parent, buf = thp()
    assert parent.mm.pmd(buf).peek() == Pte(parent.page(buf).pfn, True, True, nr=HPAGE_NR)
