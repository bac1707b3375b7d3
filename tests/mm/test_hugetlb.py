"""Pages of hugetlb: faults, fork, get_user_pages, and what is refused."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from tests.common import SECTOR_POLICIES, Process, TinyWorld
from tests.mm.test_compound import HPAGE, huge_page
from uemu.abi import MADV_DONTFORK, MADV_DONTNEED, MADV_WIPEONFORK, PAGE_SIZE, PROT_READ
from uemu.errors import Fault
from uemu.events import PageCopied
from uemu.mm.pte import Pte
from uemu.policy.registry import make_policy
from uemu.scenario.actions import HPAGE_NR
from uemu.step import run


def test_a_load_maps_a_zeroed_page_read_only() -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    buf = parent.mmap(HPAGE_NR, huge="hugetlb")
    assert parent.load(buf + PAGE_SIZE) == b"\0"
    assert not parent.pte(buf).write
    parent.store(buf, b"P")
    assert parent.pte(buf + PAGE_SIZE).write
    assert world.log(PageCopied) == []
    world.kernel.check(at_rest=True)


def test_memory_that_runs_out_is_enomem_and_leaves_no_lock() -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    buf = parent.mmap(HPAGE_NR, huge="hugetlb")
    world.kernel.mech.frame_limit = HPAGE_NR - 1
    with pytest.raises(Fault) as caught:
        parent.store(buf, b"P")
    assert caught.value.errno == errno.ENOMEM
    assert world.kernel.mech.hugetlb_mutex.is_free()
    assert parent.mm.mmap_lock.is_free()


def test_a_copy_that_gets_no_memory_leaves_nothing_held() -> None:
    world, parent, buf = huge_page("linux-6.5")
    parent.fork()
    world.kernel.mech.frame_limit = HPAGE_NR
    with pytest.raises(Fault):
        parent.store(buf, b"P")
    world.kernel.check(at_rest=True)


WITH_HUGETLB = [name for name in SECTOR_POLICIES if make_policy(name).has_hugetlb]


@pytest.mark.parametrize("policy", WITH_HUGETLB)
def test_the_first_store_after_fork_copies_the_whole_page_and_the_second_reuses(
    policy: str,
) -> None:
    world, parent, buf = huge_page(policy)
    child = parent.fork()
    assert parent.page(buf) is child.page(buf)
    parent.store(buf + PAGE_SIZE, b"P")
    child.store(buf + PAGE_SIZE, b"C")
    assert len(world.log(PageCopied)) == HPAGE_NR
    assert (parent.load(buf), child.load(buf)) == (b"I", b"I")
    assert (parent.load(buf + PAGE_SIZE), child.load(buf + PAGE_SIZE)) == (b"P", b"C")
    assert parent.pte(buf).write
    assert child.pte(buf).write
    world.kernel.check(at_rest=True)
    child.exit()
    parent.exit()
    assert [page for page in world.kernel.mech.pages.values() if not page.reserved] == []


@pytest.mark.parametrize("policy", [name for name in WITH_HUGETLB if name != "piggin-2009-vma"])
def test_a_device_reaches_every_part(policy: str) -> None:
    """A transfer over two huge pages, of which one was never touched."""
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap(2 * HPAGE_NR, huge="hugetlb")
    parent.store(buf, b"I" * HPAGE)
    read = parent.read_disk(buf + PAGE_SIZE, HPAGE)
    world.kernel.check(at_rest=True)
    world.device_writes(read, b"D" * HPAGE)
    world.complete(read)
    assert parent.load(buf, HPAGE + 2 * PAGE_SIZE) == (
        b"I" * PAGE_SIZE + b"D" * HPAGE + bytes(PAGE_SIZE)
    )
    parent.exit()
    world.kernel.check(at_rest=True)
    assert world.kinds() == set()


def _munmap(parent: Process, buf: int) -> None:
    parent.munmap(buf)


def _mprotect(parent: Process, buf: int) -> None:
    parent.mprotect(buf + PAGE_SIZE, PROT_READ)


def _madvise(parent: Process, buf: int) -> None:
    parent.madvise(buf, MADV_DONTFORK)


def _wipeonfork(parent: Process, buf: int) -> None:
    parent.madvise(buf, MADV_WIPEONFORK, HPAGE_NR)


def _dontneed(parent: Process, buf: int) -> None:
    parent.madvise(buf, MADV_DONTNEED, HPAGE_NR)


def _mremap(parent: Process, buf: int) -> None:
    run(parent.world.kernel.mremap(parent.cpu, parent.mm, buf, HPAGE, HPAGE))


@pytest.mark.parametrize("call", [_munmap, _mprotect, _madvise, _wipeonfork, _dontneed, _mremap])
def test_what_linux_5_11_refuses(call: Callable[[Process, int], None]) -> None:
    _world, parent, buf = huge_page("linux-5.11")
    with pytest.raises(Fault) as caught:
        call(parent, buf)
    assert caught.value.errno == errno.EINVAL
    assert parent.mm.mmap_lock.is_free()
    assert parent.load(buf) == b"I"


@pytest.mark.parametrize("call", [_dontneed, _mremap])
def test_what_linux_5_19_takes(call: Callable[[Process, int], None]) -> None:
    world, parent, buf = huge_page("linux-5.19")
    call(parent, buf)
    world.kernel.check(at_rest=True)


def test_a_private_mapping_is_refused_before_cow_came_with_2_6_16() -> None:
    with pytest.raises(Fault, match=r"under linux-2\.6\.7") as caught:
        TinyWorld("linux-2.6.7").process().mmap(HPAGE_NR, huge="hugetlb")
    assert caught.value.errno == errno.EINVAL


def test_mprotect_changes_the_huge_entry() -> None:
    _world, parent, buf = huge_page("linux-6.5")
    parent.mprotect(buf, PROT_READ, HPAGE_NR)
    assert parent.mm.shows(buf + PAGE_SIZE) == Pte(parent.page(buf).pfn + 1, False, True)
    with pytest.raises(Fault):
        parent.store(buf, b"P")


def test_reclaim_and_migration_leave_it_alone() -> None:
    world, parent, buf = huge_page("linux-6.5")
    for op in (world.kernel.swap_out, world.kernel.migrate):
        assert run(op(world.device, parent.mm, buf)) == "it is a page of hugetlb"


def test_a_fork_that_gets_no_huge_page_leaves_nothing() -> None:
    world, parent, buf = huge_page("linux-5.19")
    held, page = parent.register(buf), parent.page(buf)
    world.kernel.mech.frame_limit = len(world.kernel.mech.pages) + HPAGE_NR - 1
    with pytest.raises(Fault) as caught:
        parent.fork()
    assert caught.value.errno == errno.ENOMEM
    assert list(world.kernel.mech.mms) == [parent.mm.id]
    assert parent.mm.extra("write_protect_seq").peek() % 2 == 0
    assert (parent.page(buf), parent.pte(buf).write) == (page, True)
    world.release(held)
    world.kernel.check(at_rest=True)


def test_faults_of_two_processes_come_one_after_the_other() -> None:
    """hugetlb_instantiation_mutex: whoever comes second waits for the copy of the first."""
    world, parent, buf = huge_page("linux-4.19")
    child = parent.fork()
    fault = world.kernel.fault(parent.cpu, parent.mm, buf, write=True)
    while next(fault).fn != "copy_huge_page":
        pass
    other = world.kernel.fault(child.cpu, child.mm, buf, write=True)
    next(other)
    step = next(other)
    assert (step.fn, step.is_enabled()) == ("hugetlb_fault", False)
    run(fault)
    assert step.is_enabled()
    run(other)
    assert len(world.log(PageCopied)) == HPAGE_NR
    world.kernel.check(at_rest=True)
