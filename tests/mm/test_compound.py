"""Compound pages, huge entries, and what looks through them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.common import Process, TinyWorld
from uemu.abi import PAGE_SIZE, Foll
from uemu.errors import Fault, InvariantError
from uemu.events import ForkCopyEnded, Moved, PageFreed, PteSet, Unmapped
from uemu.mm.compound import copy_huge_page_for_fork, make_pmd, share_huge
from uemu.mm.grab import gup_grab, gup_release
from uemu.mm.page import page_count, page_mapcount
from uemu.mm.pte import Pte
from uemu.scenario.actions import HPAGE_NR
from uemu.step import Cpu, RecordingCpu, run

HPAGE = HPAGE_NR * PAGE_SIZE


def huge_page(policy: str = "linux-2.6.29") -> tuple[TinyWorld, Process, int]:
    """A process that filled one page of hugetlb with ``I``."""
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap(HPAGE_NR, huge="hugetlb")
    parent.store(buf, b"I" * HPAGE)
    return world, parent, buf


def test_frames_follow_each_other_and_share_what_is_the_heads() -> None:
    _world, parent, buf = huge_page()
    pages = [parent.page(buf + i * PAGE_SIZE) for i in range(HPAGE_NR)]
    head = pages[0]
    assert [page.pfn - head.pfn for page in pages] == list(range(HPAGE_NR))
    for page in pages:
        assert (page.head, page.nr) == (head, HPAGE_NR)
        assert page.refcount is head.refcount
        assert page.mapcount is head.mapcount
        assert page.flag("PG_gup") is head.flag("PG_gup")
        assert page.word("reader") is head.word("reader")
        assert page.locked is head.locked
    assert (page_count(parent.cpu, head), page_mapcount(parent.cpu, head)) == (1, 1)


def test_the_pages_of_a_thp_are_mapped_and_exclusive_one_by_one() -> None:
    world = TinyWorld("linux-5.19")
    cpu = Cpu("cpu")
    head = world.kernel.mech.alloc_compound(cpu, 0, hugetlb=False)
    tail = world.kernel.mech.subpages(head)[1]
    assert tail.refcount is head.refcount
    assert tail.locked is head.locked
    assert tail.mapcount is not head.mapcount
    assert tail.anon_exclusive is not head.anon_exclusive


def test_the_last_put_of_any_part_frees_all_frames() -> None:
    world, parent, buf = huge_page()
    mech, tail = world.kernel.mech, parent.page(buf + PAGE_SIZE)
    gup_grab(mech, world.device, tail, Foll.GET)
    parent.munmap(buf, HPAGE_NR)
    assert world.log(PageFreed) == []
    world.kernel.check(at_rest=False)
    gup_release(mech, world.device, tail, Foll.GET)
    assert [event.pfn for event in world.log(PageFreed)] == list(range(HPAGE_NR))
    assert mech.pages == {}


def test_a_huge_entry_is_to_mmu_and_events_what_its_pages_are() -> None:
    world, parent, buf = huge_page()
    first = parent.page(buf).pfn
    set_to = [(event.base, event.pfn) for event in world.log(PteSet)]
    assert set_to == [(buf + i * PAGE_SIZE, first + i) for i in range(HPAGE_NR)]
    last = buf + HPAGE - 1
    assert parent.load(last) == b"I"
    assert parent.mm.shows(last - last % PAGE_SIZE) == Pte(first + HPAGE_NR - 1, True, True)
    assert parent.mm.ptes.get(buf) is None or parent.mm.ptes[buf].peek() is None


def test_who_looks_through_a_huge_entry_reads_it() -> None:
    """So that an explorer sees that this look and a change of the entry conflict."""
    _world, parent, buf = huge_page()
    cpu = RecordingCpu("looks")
    parent.mm.walk(cpu, buf + PAGE_SIZE)
    assert cpu.take_accesses().reads == {("pmd", parent.mm.id, buf)}


def test_where_nothing_may_be_huge_nobody_looks_for_it() -> None:
    world = TinyWorld("linux-2.6.29")
    parent = world.process()
    buf = parent.mmap()
    cpu = RecordingCpu("looks")
    parent.mm.walk(cpu, buf)
    assert cpu.take_accesses().reads == {("pte", parent.mm.id, buf)}
    assert run(world.kernel.mech.huge_entries_in(cpu, parent.mm, buf, buf + PAGE_SIZE)) == []
    assert cpu.take_accesses().reads == frozenset()


@pytest.mark.parametrize("nr_pages", [1, HPAGE_NR + 1])
def test_a_length_that_is_no_multiple_is_refused(nr_pages: int) -> None:
    with pytest.raises(Fault, match="must be a multiple of 16384"):
        TinyWorld("linux-6.5").process().mmap(nr_pages, huge="hugetlb")


def test_a_huge_mapping_is_aligned() -> None:
    parent = TinyWorld("linux-6.5").process()
    parent.mmap()
    assert parent.mmap(HPAGE_NR, huge="hugetlb") % HPAGE == 0


def test_exit_takes_both_pages_and_tells_of_the_whole() -> None:
    world, parent, buf = huge_page()
    parent.exit()
    assert world.log(Unmapped)[-1][2:] == (buf, buf + HPAGE)
    assert world.kernel.mech.pages == {}
    world.kernel.check(at_rest=True)


def test_mremap_moves_the_frames() -> None:
    world, parent, buf = huge_page("linux-5.19")
    pfn = parent.page(buf).pfn
    to = run(world.kernel.mremap(parent.cpu, parent.mm, buf, HPAGE, HPAGE))
    assert parent.page(to).pfn == pfn
    assert parent.load(to + HPAGE - 1) == b"I"
    assert world.log(Moved)[-1][2:] == (buf, buf + HPAGE, to)
    world.kernel.check(at_rest=True)


def test_two_mms_share_one_compound_page() -> None:
    world, parent, buf = huge_page()
    mech, other = world.kernel.mech, world.process(name="other")
    other.mmap(HPAGE_NR, huge="hugetlb")
    share_huge(mech, other.cpu, other.mm, buf, make_pmd(parent.page(buf), write=False))
    page = parent.page(buf)
    assert (page_count(parent.cpu, page), page_mapcount(parent.cpu, page)) == (2, 2)
    world.kernel.check(at_rest=True)


def _one_reference_less(parent: Process, buf: int) -> None:
    parent.page(buf).refcount.value -= 1


def _an_entry_under_it(parent: Process, buf: int) -> None:
    parent.mm.pte(buf).value = parent.pte(buf)


def _a_tail_as_head(parent: Process, buf: int) -> None:
    cell = parent.mm.pmd(buf)
    entry = cell.peek()
    assert isinstance(entry, Pte)
    cell.value = entry._replace(pfn=entry.pfn + 1, nr=HPAGE_NR - 1)


def _a_pin_too_few(parent: Process, buf: int) -> None:
    pincount = parent.page(buf).pincount
    assert pincount is not None
    pincount.value -= 1


def _one_mapping_more(parent: Process, buf: int) -> None:
    parent.page(buf).mapcount.value += 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_one_reference_less, "has 1 PTEs"),
        (_an_entry_under_it, "has entries under"),
        (_a_tail_as_head, "maps"),
        (_a_pin_too_few, "-1 pins"),
        (_one_mapping_more, "is mapped by 1"),
    ],
)
def test_damage_is_found(damage: Callable[[Process, int], None], message: str) -> None:
    world, parent, buf = huge_page()
    world.kernel.check(at_rest=True)
    damage(parent, buf)
    with pytest.raises(InvariantError, match=message):
        world.kernel.check(at_rest=True)


def test_fork_copies_a_huge_page_frame_by_frame_where_others_may_store() -> None:
    world, parent, buf = huge_page("linux-5.19")
    mech, fork = world.kernel.mech, RecordingCpu("fork")
    new = mech.alloc_compound(fork, buf, hugetlb=True)
    op = copy_huge_page_for_fork(mech, fork, parent.mm, buf, new, parent.page(buf), "fork")
    assert sum(1 for _ in op) == HPAGE_NR
    (ended,) = world.log(ForkCopyEnded)
    assert ended.data == b"I" * HPAGE
    mech.put_page(fork, new)
