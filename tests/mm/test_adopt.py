"""Pages that were there before: adopted as if fork and store had made them here, and given back."""

from __future__ import annotations

import pytest

from tests.common import ALL_POLICIES, DIRECT_READS_RETURN, Process, TinyWorld
from tests.each import each
from uemu.abi import MADV_DONTNEED, PAGE_SIZE, PROT_NONE, PROT_READ, PROT_WRITE
from uemu.errors import Fault
from uemu.events import PageFreed, PteSet, Unmapped
from uemu.mm.vma import Vm
from uemu.step import run

every_policy = each("policy", ALL_POLICIES)

RW = PROT_READ | PROT_WRITE
BUF = 0x5555_0000_0000


def page(letter: bytes) -> bytes:
    return letter * PAGE_SIZE


def at(nr: int) -> int:
    return BUF + nr * PAGE_SIZE


def cover(
    process: Process,
    first: int = 0,
    nr_pages: int = 1,
    prot: int = RW,
    *,
    dontfork: bool = False,
    wipeonfork: bool = False,
) -> None:
    """Say that a process has pages mapped."""
    process.world.kernel.cover(
        process.mm, at(first), at(first + nr_pages), prot, dontfork=dontfork, wipeonfork=wipeonfork
    )


def adopt(*sharers: Process, nr: int = 0, letter: bytes = b"I") -> None:
    kernel = sharers[0].world.kernel
    kernel.adopt(sharers[0].cpu, [process.mm for process in sharers], at(nr), page(letter))


def disown(process: Process, first: int = 0, nr_pages: int = 1) -> None:
    process.world.kernel.disown(process.cpu, process.mm, at(first), at(first + nr_pages))


def adopted(policy: str = "linux-6.5", prot: int = RW) -> tuple[TinyWorld, Process]:
    """A process whose one page, full of ``I``, was adopted."""
    world = TinyWorld(policy)
    parent = world.process()
    cover(parent, prot=prot)
    adopt(parent)
    return world, parent


def adopted_by_two(policy: str = "linux-6.5") -> tuple[TinyWorld, Process, Process]:
    """As `adopted`, by two processes that share the page."""
    world = TinyWorld(policy)
    parent, child = world.process(), world.process(name="child")
    cover(parent)
    cover(child)
    adopt(parent, child)
    return world, parent, child


def vmas(process: Process) -> list[tuple[int, int]]:
    """What is covered, in numbers of pages."""
    return [
        ((vma.vm_start - BUF) // PAGE_SIZE, (vma.vm_end - BUF) // PAGE_SIZE)
        for vma in process.mm.vmas
    ]


# Covering ------------------------------------------------------------------------------------


def test_only_what_is_not_known_is_covered() -> None:
    parent = TinyWorld("linux-6.5").process()
    cover(parent, 1)
    cover(parent, 3, 2)
    assert vmas(parent) == [(1, 2), (3, 5)]
    cover(parent, 0, 6)
    assert vmas(parent) == [(0, 1), (1, 2), (2, 3), (3, 5), (5, 6)]
    cover(parent, 0, 6)
    assert vmas(parent) == [(0, 1), (1, 2), (2, 3), (3, 5), (5, 6)]


def test_what_is_known_keeps_its_protection() -> None:
    parent = TinyWorld("linux-6.5").process()
    cover(parent, 1, prot=PROT_READ)
    cover(parent, 0, 3)
    assert [vma.writable() for vma in parent.mm.vmas] == [True, False, True]


@pytest.mark.parametrize(
    ("prot", "flags"),
    [(PROT_NONE, 0), (PROT_READ, Vm.READ), (PROT_WRITE, Vm.READ | Vm.WRITE)],
)
def test_a_covered_mapping_is_private_with_its_protection(prot: int, flags: int) -> None:
    parent = TinyWorld("linux-6.5").process()
    cover(parent, prot=prot)
    (vma,) = parent.mm.vmas
    assert vma.vm_flags == flags | Vm.MAYWRITE
    assert vma.is_cow_mapping()


@pytest.mark.parametrize(("dontfork", "wipeonfork"), [(True, False), (False, True), (False, False)])
def test_advice_for_fork_is_known(dontfork: bool, wipeonfork: bool) -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    cover(parent, dontfork=dontfork, wipeonfork=wipeonfork)
    adopt(parent)
    child = parent.fork()
    if dontfork:
        with pytest.raises(Fault):
            child.load(BUF)
    else:
        assert child.load(BUF) == (b"\0" if wipeonfork else b"I")


def test_what_is_covered_but_not_adopted_has_no_page() -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    cover(parent, 0, 2)
    adopt(parent, nr=1)
    assert parent.mm.bases_in(at(0), at(2)) == [at(1)]


# Adopting ------------------------------------------------------------------------------------


@every_policy
def test_an_adopted_page_is_as_if_stored(policy: str) -> None:
    world, parent = adopted(policy)
    assert parent.load(BUF, PAGE_SIZE) == page(b"I")
    pte, found = parent.pte(BUF), parent.page(BUF)
    assert (pte.write, pte.dirty, pte.user) == (True, True, True)
    assert (found.refcount.peek(), found.mapcount.peek()) == (1, 1)
    world.kernel.check(at_rest=True)
    stored = TinyWorld(policy)
    other = stored.process()
    buf = other.mmap()
    other.store(buf, page(b"I"))
    assert found.flags_set() == other.page(buf).flags_set()
    assert pte._replace(pfn=0) == other.pte(buf)._replace(pfn=0)


@every_policy
def test_a_shared_page_is_as_fork_left_it(policy: str) -> None:
    world, parent, child = adopted_by_two(policy)
    found = parent.page(BUF)
    assert child.page(BUF) is found
    assert (found.refcount.peek(), found.mapcount.peek()) == (2, 2)
    world.kernel.check(at_rest=True)
    _, forked = adopted(policy)
    after = forked.fork()
    assert found.flags_set() == forked.page(BUF).flags_set()
    for process, like in ((parent, forked), (child, after)):
        assert process.pte(BUF)._replace(pfn=0) == like.pte(BUF)._replace(pfn=0)


@every_policy
def test_a_store_to_a_shared_page_copies_it(policy: str) -> None:
    world, parent, child = adopted_by_two(policy)
    parent.store(BUF, b"W")
    assert (parent.load(BUF), child.load(BUF)) == (b"W", b"I")
    child.store(BUF, b"C")
    assert (parent.load(BUF), child.load(BUF)) == (b"W", b"C")
    world.kernel.check(at_rest=True)
    assert world.kinds() == set()


@every_policy
def test_a_store_to_a_page_of_ones_own_does_not(policy: str) -> None:
    _, parent = adopted(policy)
    pfn = parent.pte(BUF).pfn
    parent.store(BUF, b"W")
    assert parent.pte(BUF).pfn == pfn


def test_three_can_share_a_page() -> None:
    world = TinyWorld("linux-2.6.29")
    three = [world.process(name=name) for name in ("parent", "child", "grandchild")]
    for process in three:
        cover(process)
    adopt(*three)
    assert three[0].page(BUF).mapcount.peek() == 3
    three[1].store(BUF, b"C")
    assert [process.load(BUF) for process in three] == [b"I", b"C", b"I"]
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize(("prot", "user"), [(PROT_NONE, False), (PROT_READ, True)])
def test_a_protected_page_is_adopted_as_it_is(prot: int, user: bool) -> None:
    world, parent = adopted(prot=prot)
    pte = parent.pte(BUF)
    assert (pte.write, pte.user) == (False, user)
    assert world.kernel.frames.read(pte.pfn, 0, 1) == b"I"
    parent.mprotect(BUF, RW)
    parent.store(BUF, b"W")
    assert parent.pte(BUF).pfn == pte.pfn


def test_who_has_no_mapping_there_cannot_share_it() -> None:
    world = TinyWorld("linux-6.5")
    parent, child = world.process(), world.process(name="child")
    cover(parent)
    with pytest.raises(ValueError, match="child> has no VMA at 0x555500000000"):
        adopt(parent, child)


def test_adopting_is_announced() -> None:
    world, parent, child = adopted_by_two()
    pfn = parent.pte(BUF).pfn
    assert world.log(PteSet) == [
        PteSet(parent.cpu.name, process.mm.id, BUF, None, pfn, False) for process in (parent, child)
    ]


@pytest.mark.parametrize("policy", DIRECT_READS_RETURN)
def test_a_device_can_use_an_adopted_page(policy: str) -> None:
    world, parent, child = adopted_by_two(policy)
    transfer = parent.read_disk(BUF)
    world.device_writes(transfer, page(b"D"))
    world.complete(transfer)
    assert (parent.load(BUF), child.load(BUF)) == (b"D", b"I")
    assert world.kinds() == set()


def test_an_adopted_page_is_lost_under_the_same_rules() -> None:
    """The race of 2009, on memory that was there before."""
    world, parent = adopted("linux-2.6.29")
    transfer = parent.read_disk(BUF)
    parent.fork()
    parent.store(BUF + 1024, b"W")
    world.device_writes(transfer, page(b"D"))
    world.complete(transfer)
    assert world.kinds() == {"lost-dma-write", "dma-write-seen-by-other"}


# Giving back ---------------------------------------------------------------------------------


@every_policy
def test_what_is_disowned_is_gone_here(policy: str) -> None:
    world, parent = adopted(policy)
    pfn = parent.pte(BUF).pfn
    disown(parent)
    assert world.log(PageFreed) == [PageFreed(pfn)]
    assert parent.mm.vmas == []
    assert parent.mm.ptes == {}
    world.kernel.check(at_rest=True)


def test_disowning_takes_nothing_from_the_program() -> None:
    """Unlike munmap, which announces that it does."""
    world, parent = adopted()
    disown(parent)
    assert world.log(Unmapped) == []
    world, parent = adopted()
    parent.munmap(BUF)
    assert len(world.log(Unmapped)) == 1


@every_policy
def test_a_disowned_page_stays_with_the_others(policy: str) -> None:
    world, parent, child = adopted_by_two(policy)
    disown(parent)
    found = child.page(BUF)
    assert (found.refcount.peek(), found.mapcount.peek()) == (1, 1)
    assert child.load(BUF, PAGE_SIZE) == page(b"I")
    world.kernel.check(at_rest=True)
    disown(child)
    assert len(world.log(PageFreed)) == 1
    world.kernel.check(at_rest=True)


def test_only_the_range_is_disowned() -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    cover(parent, 0, 5)
    for nr in range(5):
        adopt(parent, nr=nr, letter=b"%d" % nr)
    disown(parent, 1, 3)
    assert vmas(parent) == [(0, 1), (4, 5)]
    assert sorted(parent.mm.ptes) == [at(0), at(4)]
    assert (parent.load(at(0)), parent.load(at(4))) == (b"0", b"4")
    with pytest.raises(Fault):
        parent.load(at(2))
    world.kernel.check(at_rest=True)


def test_disowning_what_was_never_touched_takes_the_mapping() -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    cover(parent, 0, 1000)
    disown(parent, 0, 999)
    assert vmas(parent) == [(999, 1000)]


def test_an_entry_that_is_empty_goes_too() -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    cover(parent, 0, 6)
    for nr in (0, 3, 5):
        adopt(parent, nr=nr)
    parent.madvise(at(0), MADV_DONTNEED)
    assert at(0) in parent.mm.ptes
    disown(parent)
    assert sorted(parent.mm.ptes) == [at(3), at(5)]


def test_what_was_disowned_can_be_adopted_again() -> None:
    world, parent = adopted()
    disown(parent)
    cover(parent)
    adopt(parent, letter=b"J")
    assert parent.load(BUF, PAGE_SIZE) == page(b"J")
    world.kernel.check(at_rest=True)
    assert world.kinds() == set()


def test_the_zero_page_is_not_counted() -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    cover(parent)
    assert parent.load(BUF) == b"\0"
    assert parent.page(BUF).reserved
    disown(parent)
    assert world.log(PageFreed) == []
    world.kernel.check(at_rest=True)


def test_a_frame_that_a_device_holds_is_freed_by_the_device() -> None:
    world, parent = adopted()
    transfer = parent.write_disk(BUF)
    disown(parent)
    assert world.log(PageFreed) == []
    assert world.device_reads(transfer, 3) == b"III"
    run(world.kernel.io.dio_complete(world.device, transfer))
    assert len(world.log(PageFreed)) == 1
    world.kernel.check(at_rest=True)
