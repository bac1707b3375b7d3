"""arcangeli-2009-v2: PG_gup, the copy at fork, and the faults of the patch as posted."""

from __future__ import annotations

import pytest

from tests.common import Process, TinyWorld, one_page, run_steps, two_mms
from tests.mm.test_compound import HPAGE, huge_page
from uemu.abi import PAGE_SIZE, PROT_READ, PROT_WRITE, Direction, Foll
from uemu.errors import Fault, InvariantError
from uemu.events import PageCopied, TlbFlushed
from uemu.mm.grab import gup_release
from uemu.mm.gup import lockless_pages_from_mm
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.scenario.actions import HPAGE_NR
from uemu.step import run

POLICY = "arcangeli-2009-v2"
RW = PROT_READ | PROT_WRITE
GET = Foll.GET | Foll.WRITE


def is_marked(page: Page) -> bool:
    return "PG_gup" in page.flags_set()


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("api", ["o_direct", "rdma"], ids=["fast", "slow"])
def test_gup_marks_the_page_fast_or_slow_to_read_or_to_write(
    direction: Direction, api: str
) -> None:
    _, parent, buf = one_page(POLICY)
    assert not is_marked(parent.page(buf))
    if api == "rdma":
        parent.register(buf, writable=direction is Direction.FROM_DEVICE)
    elif direction is Direction.FROM_DEVICE:
        parent.read_disk(buf)
    else:
        parent.write_disk(buf)
    assert is_marked(parent.page(buf))


def test_the_mark_stays_until_the_page_is_freed() -> None:
    world, parent, buf = one_page(POLICY)
    world.complete(parent.read_disk(buf))
    marked = parent.page(buf)
    assert is_marked(marked)
    parent.fork().store(buf, b"C")
    parent.store(buf, b"P")
    assert parent.page(buf) is marked
    assert is_marked(marked)
    parent.munmap(buf)
    fresh = parent.mmap()
    parent.store(fresh, b"x")
    assert not is_marked(parent.page(fresh))


def test_fork_copies_a_marked_page_under_io_and_leaves_the_parent_writable() -> None:
    world, parent, buf = one_page(POLICY)
    parent.read_disk(buf)
    held = parent.page(buf)
    child = parent.fork()
    assert [event.fn for event in world.log(PageCopied)] == ["fork_pre_cow"]
    assert parent.page(buf) is held
    assert parent.pte(buf).write
    assert child.pte(buf).write
    assert repr(held) == "<pfn 0 2/1 PG_gup>"
    world.kernel.check(at_rest=True)


def test_fork_shares_a_marked_page_whose_io_is_over() -> None:
    world, parent, buf = one_page(POLICY)
    world.complete(parent.read_disk(buf))
    child = parent.fork()
    assert child.page(buf) is parent.page(buf)
    assert world.log(PageCopied) == []


def test_fork_flushes_the_parents_other_cpus_before_it_copies() -> None:
    world, parent, buf = one_page(POLICY)
    other = world.cpu_of(parent.mm)
    parent.read_disk(buf)
    run(world.kernel.fork(parent.cpu, parent.mm))
    log = [event for event in world.events.log() if isinstance(event, TlbFlushed | PageCopied)]
    assert [type(event) for event in log] == [TlbFlushed, PageCopied, TlbFlushed]
    assert other.name == world.log(TlbFlushed)[0].target


def test_a_read_gup_breaks_cow() -> None:
    world, parent, child, buf = two_mms(POLICY)
    shared = child.page(buf)
    write = parent.write_disk(buf)
    assert parent.page(buf) is not shared
    parent.store(buf, b"P")
    child.store(buf, b"C")
    assert world.device_reads(write) == b"P"
    assert world.kinds() == set()


def gup_fast_over_mprotect(world: TinyWorld, parent: Process, buf: int) -> list[Page]:
    """What gup-fast holds when the entry turns read-only after it looked."""
    other, mech = world.cpu_of(parent.mm), world.kernel.mech
    gup = lockless_pages_from_mm(mech, other, parent.mm, [buf], Foll.GET | Foll.WRITE)
    while next(gup).what != "SetPageGUP":
        pass
    assert repr(parent.page(buf)) == "<pfn 0 2/1>"
    mprotect = world.kernel.mprotect(parent.cpu, parent.mm, buf, PAGE_SIZE, PROT_READ)
    while next(mprotect).fn != "flush_tlb_others":
        pass
    pages = run(gup)
    run(mprotect)
    return pages


def test_gup_fast_gives_the_reference_back_when_the_entry_turned_read_only() -> None:
    world, parent, buf = one_page(POLICY)
    assert gup_fast_over_mprotect(world, parent, buf) == []
    assert repr(parent.page(buf)) == "<pfn 0 1/1 PG_gup>"
    world.kernel.check(at_rest=True)


def test_without_the_recheck_it_keeps_the_page() -> None:
    world, parent, buf = one_page(f"{POLICY}:norecheck")
    assert gup_fast_over_mprotect(world, parent, buf) == [parent.page(buf)]
    assert repr(parent.page(buf)) == "<pfn 0 2/1 PG_gup>"


def test_as_posted_a_read_gup_without_vm_write_never_returns() -> None:
    _, parent, buf = one_page(POLICY)
    parent.mprotect(buf, PROT_READ)
    with pytest.raises(InvariantError) as caught:
        parent.write_disk(buf)
    assert caught.value.kind == "livelock"


def test_with_vm_write_it_does() -> None:
    world, parent, _, buf = two_mms(POLICY)
    write = parent.write_disk(buf)
    assert world.device_reads(write) == b"I"


def test_as_posted_fork_does_not_examine_an_entry_that_is_read_only_already() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    parent.mprotect(buf, PROT_READ)
    child = parent.fork()
    assert child.page(buf) is parent.page(buf)
    parent.mprotect(buf, RW)
    parent.store(buf, b"P")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert "lost-dma-write" in world.kinds()


def test_the_fast_path_costs_two_steps_more_than_2_6_29() -> None:
    taken = {}
    for policy in ("linux-2.6.29", POLICY):
        world, parent, buf = one_page(policy)
        _, taken[policy] = run_steps(
            world.kernel.io.dio_submit(
                parent.cpu, parent.mm, [(buf, PAGE_SIZE)], Direction.FROM_DEVICE, "o_direct"
            )
        )
    assert len(taken[POLICY]) == len(taken["linux-2.6.29"]) + 2


def test_a_read_gup_fast_never_succeeds_as_posted() -> None:
    world, parent, buf = one_page(POLICY)
    pages = run(lockless_pages_from_mm(world.kernel.mech, parent.cpu, parent.mm, [buf], Foll.GET))
    assert pages == []
    pages = run(
        lockless_pages_from_mm(
            world.kernel.mech, parent.cpu, parent.mm, [buf], Foll.GET | Foll.WRITE
        )
    )
    assert pages == [parent.page(buf)]


# hugetlb -------------------------------------------------------------------------------------


def test_a_marked_page_of_hugetlb_is_copied_whoever_holds_it() -> None:
    """PG_gup alone decides; the parent's entry is writable again."""
    world, parent, buf = huge_page(POLICY)
    world.complete(parent.read_disk(buf + PAGE_SIZE))
    assert is_marked(parent.page(buf))
    child = parent.fork()
    assert child.page(buf) is not parent.page(buf)
    assert parent.pte(buf).write
    assert child.load(buf) == b"I"
    assert child.load(buf + PAGE_SIZE) == b"I"
    world.kernel.check(at_rest=True)


def test_an_unmarked_page_of_hugetlb_is_shared() -> None:
    world, parent, buf = huge_page(POLICY)
    child = parent.fork()
    assert child.page(buf) is parent.page(buf)
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("api", ["o_direct", "rdma"], ids=["fast", "slow"])
def test_a_read_gup_breaks_cow_of_hugetlb(api: str) -> None:
    world, parent, buf = huge_page(POLICY)
    child = parent.fork()
    if api == "rdma":
        parent.register(buf, writable=False)
    else:
        parent.write_disk(buf)
    assert parent.page(buf) is not child.page(buf)
    assert is_marked(parent.page(buf))
    world.kernel.check(at_rest=True)


def test_gup_fast_fences_each_page_of_hugetlb() -> None:
    """ "up to 63 atomics, 64 mfences" (Piggin 03-16 16:01): here four pages."""
    world, parent, buf = huge_page(POLICY)
    op = lockless_pages_from_mm(
        world.kernel.mech, parent.cpu, parent.mm, list(range(buf, buf + HPAGE, PAGE_SIZE)), GET
    )
    pages, taken = run_steps(op)
    assert len(pages) == HPAGE_NR
    assert taken.count("get_page") == HPAGE_NR
    for page in pages:
        gup_release(world.kernel.mech, parent.cpu, page, GET)
    world.kernel.check(at_rest=True)


def test_a_fork_that_gets_no_huge_page_leaves_the_parent_its_own() -> None:
    world, parent, buf = huge_page(POLICY)
    world.complete(parent.read_disk(buf))
    world.kernel.mech.frame_limit = len(world.kernel.mech.pages)
    with pytest.raises(Fault):
        parent.fork()
    assert parent.pte(buf).write
    world.kernel.check(at_rest=True)


def test_gup_fast_keeps_the_pages_it_has_when_the_huge_entry_changes() -> None:
    world, parent, buf = huge_page(POLICY)
    mech, mm = world.kernel.mech, parent.mm
    bases = list(range(buf, buf + HPAGE, PAGE_SIZE))
    op = lockless_pages_from_mm(mech, parent.cpu, mm, bases, GET)
    while next(op).what != f"hold pfn {parent.page(buf).pfn + 1}":
        pass
    entry = mm.pmd(buf).peek()
    assert isinstance(entry, Pte)
    mech.set_pmd_at(world.device, mm, buf, entry.wrprotect())
    assert run(op) == [parent.page(buf)]
    gup_release(mech, parent.cpu, parent.page(buf), GET)
    world.kernel.check(at_rest=True)
