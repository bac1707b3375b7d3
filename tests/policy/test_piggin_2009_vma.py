"""piggin-2009-vma: a VMA is marked and un-COWed, fork copies it, and what that costs."""

from __future__ import annotations

import pytest

from tests.common import TinyWorld, one_page, run_steps, two_mms
from tests.mm.test_compound import huge_page
from tests.mm.test_reclaim import swap_out
from uemu.abi import PAGE_SIZE, PROT_READ, PROT_WRITE, Foll
from uemu.errors import InvariantError
from uemu.events import PageCopied
from uemu.explore import explore
from uemu.mm.gup import hold_user_pages, lockless_pages_from_mm, release_user_page
from uemu.mm.hooks import GupCall
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.reclaim import FREED
from uemu.mm.vma import Vm, Vma
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.piggin_2009_vma import Piggin2009Vma
from uemu.scenario.actions import Fork, Register, Store
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op, Stuck, run

POLICY = "piggin-2009-vma"


class Balanced(Piggin2009Vma):
    """decow_one_pte() drops both references, so that one can see past the leak."""

    def leave(self, cpu: Cpu, page: Page) -> None:
        self.mech.page_remove_rmap(cpu, page)
        self.mech.put_page(cpu, page, 2)


def is_marked(page: Page) -> bool:
    return "PG_dontcow" in page.flags_set()


def flags_at(mm: MmStruct, addr: int) -> int:
    vma = mm.find_vma(addr)
    assert vma is not None
    return vma.vm_flags & Vm.DONTCOW


def test_the_first_gup_marks_the_vma_and_copies_what_is_read_only_in_all_of_it() -> None:
    world = TinyWorld(Balanced())
    parent = world.process()
    buf = parent.mmap(3)
    parent.store(buf, b"I" * 2 * PAGE_SIZE)
    child = parent.fork()
    before = [parent.page(buf + at) for at in (0, PAGE_SIZE)]
    world.complete(parent.write_disk(buf, 512))
    assert flags_at(parent.mm, buf) == Vm.DONTCOW
    assert flags_at(child.mm, buf) == 0
    after = [parent.page(buf + at) for at in (0, PAGE_SIZE)]
    assert all(old is not new and is_marked(new) for old, new in zip(before, after, strict=True))
    assert [child.page(buf), child.page(buf + PAGE_SIZE)] == before
    assert len(world.log(PageCopied)) == 2
    world.complete(parent.write_disk(buf, 512))
    assert len(world.log(PageCopied)) == 2
    world.kernel.check(at_rest=True)


def test_fork_copies_all_of_a_marked_vma_for_the_child_whose_own_is_marked_too() -> None:
    world = TinyWorld(Balanced())
    parent = world.process()
    buf = parent.mmap(2)
    parent.store(buf, b"I" * 2 * PAGE_SIZE)
    world.complete(parent.read_disk(buf, 512))
    held = parent.page(buf)
    child = parent.fork()
    assert flags_at(child.mm, buf) == Vm.DONTCOW
    assert parent.page(buf) is held
    assert parent.pte(buf).write
    for at in (buf, buf + PAGE_SIZE):
        assert child.page(at) is not parent.page(at)
        assert child.pte(at).write
        assert is_marked(child.page(at))
    grandchild = child.fork()
    assert grandchild.page(buf) is not child.page(buf)
    world.kernel.check(at_rest=True)


def test_a_page_that_was_there_when_the_vma_was_marked_is_never_had_fast() -> None:
    world, parent, buf = one_page(POLICY)
    mech = world.kernel.mech
    world.complete(parent.read_disk(buf))
    assert not is_marked(parent.page(buf))
    assert run(lockless_pages_from_mm(mech, parent.cpu, parent.mm, [buf], Foll.GET)) == []


def test_what_is_touched_first_after_that_is_marked_and_had_fast() -> None:
    world = TinyWorld(POLICY)
    parent = world.process()
    buf = parent.mmap(2)
    parent.store(buf, b"I")
    world.complete(parent.read_disk(buf, 512))
    new = buf + PAGE_SIZE
    parent.store(new, b"I")
    mech = world.kernel.mech
    held = run(lockless_pages_from_mm(mech, parent.cpu, parent.mm, [new], Foll.GET))
    assert held == [parent.page(new)]


def test_get_user_pages_gives_mmap_sem_up_to_take_it_for_writing_and_ends_reading() -> None:
    world, parent, buf = one_page(POLICY)
    lock = parent.mm.mmap_lock
    call = GupCall(Foll.GET, fast=False)
    op = hold_user_pages(world.kernel.mech, parent.cpu, parent.mm, buf, 1, call)
    assert next(op).what == "mmap_sem for reading"
    step = next(op)
    assert step.what == "mmap_sem for writing"
    lock.down_read(Cpu("another reader"))
    assert not step.is_enabled()
    lock.up_read(Cpu("another reader"))
    _, taken = run_steps(op)
    assert "follow_page" in taken
    assert lock.is_free()


def test_who_waits_there_and_goes_no_further_gives_back_what_the_caller_took() -> None:
    world, parent, buf = one_page(POLICY)
    lock = parent.mm.mmap_lock
    lock.down_read(Cpu("another reader"))
    with pytest.raises(Stuck, match="mmap_sem for writing"):
        parent.write_disk(buf)
    assert lock.readers.peek() == 1
    assert world.kernel.io.holds() == {}


def test_without_vm_write_the_copy_stays_read_only_and_a_read_gup_takes_it() -> None:
    world, parent, child, buf = two_mms(Balanced())
    parent.mprotect(buf, PROT_READ)
    write = parent.write_disk(buf)
    assert parent.page(buf) is not child.page(buf)
    assert not parent.pte(buf).write
    parent.mprotect(buf, PROT_READ | PROT_WRITE)
    held = parent.page(buf)
    parent.store(buf, b"P")
    assert parent.page(buf) is held
    assert world.device_reads(write) == b"P"
    assert world.kinds() == set()


def test_what_comes_back_from_swap_to_a_marked_vma_is_marked() -> None:
    world, parent, buf = one_page(POLICY)
    world.complete(parent.read_disk(buf))
    swap_out(parent, buf)
    parent.load(buf)
    assert is_marked(parent.page(buf))


def test_what_was_in_swap_when_the_vma_was_marked_stays_shared() -> None:
    world, parent, child, buf = two_mms(Balanced())
    assert swap_out(parent, buf) == FREED
    write = parent.write_disk(buf)
    assert flags_at(parent.mm, buf) == Vm.DONTCOW
    parent.store(buf, b"P")
    child.store(buf, b"C")
    assert world.device_reads(write) == b"C"
    assert world.kinds() == {"foreign-dma-read"}


def test_a_page_that_reclaim_takes_away_while_it_is_copied_is_looked_at_again() -> None:
    world, parent, child, buf = two_mms(Balanced())
    call = GupCall(Foll.GET, fast=False)
    op = hold_user_pages(world.kernel.mech, parent.cpu, parent.mm, buf, 1, call)
    while next(op).fn != "decow_one_pte":
        pass
    assert next(op).what == "copy the frame for the child"
    assert swap_out(parent, buf) == "others refer to it"
    (held,) = run(op)
    assert held is parent.page(buf)
    assert (parent.load(buf), child.load(buf)) == (b"I", b"I")
    release_user_page(world.kernel.mech, parent.cpu, held, Foll.GET)
    world.kernel.check(at_rest=True)


def test_each_page_that_is_left_is_never_freed() -> None:
    world, parent, buf = one_page(POLICY)
    world.complete(parent.read_disk(buf))
    parent.fork().exit()
    parent.exit()
    (leaked,) = [page for page in world.kernel.mech.pages.values() if not page.reserved]
    assert repr(leaked).startswith("<pfn 0 1/0")
    with pytest.raises(InvariantError, match="refcount-leak"):
        world.kernel.check(at_rest=True)


@pytest.mark.parametrize("variant", ["", "wrprotect"])
@pytest.mark.parametrize(
    "name",
    ["lost-read", "lost-read-no-child-write", "child-corrupted", "two-readers-one-page",
     "reverse-race", "ro-pin-then-fork", "gup-fast-vs-fork", "child-exits-first"],
)  # fmt: skip
def test_past_the_leak_nothing_is_violated(name: str, variant: str) -> None:
    assert simulate(SCENARIOS[name], Balanced(variant)).kinds == set()


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("variant", ["", "wrprotect"])
def test_gup_fast_and_fork_do_not_miss_each_other(variant: str, waits: bool) -> None:
    scenario = SCENARIOS["gup-fast-vs-fork"]
    found = explore(
        lambda: SimulatedWorld(scenario, Balanced(variant), ipi_waits_for_gup_fast=waits)
    )
    assert found.exhaustive
    assert found.verdicts == {}


# The child's copy ----------------------------------------------------------------------------


def _register_and_fork(stage: Stage) -> Script:
    yield Register(stage.buf, PAGE_SIZE, True, "rdma")
    yield Fork("child")


def _store_three_times(stage: Stage) -> Script:
    yield Store(stage.buf + 8, b"0")  # a translation that stays
    yield Store(stage.buf, b"1")
    yield Store(stage.buf + PAGE_SIZE - 1, b"2")


def _map_one(stage: Stage) -> Script:
    yield from map_and_fill(stage, nr_pages=1)


TEARING = Scenario(
    "tearing",
    "fork of a held page, while another thread stores to its beginning and its end",
    _map_one,
    {"fork": _register_and_fork, "cpu": _store_three_times},
    {},
    "cpu fork cpu fork cpu",
)


class NoTranslationIsOld(Balanced):
    """fork flushes the parent's TLBs before it de-COWs."""

    def copied_vma(self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma) -> Op[None]:
        yield from self.mech.flush_tlb_range(cpu, src, vma.vm_start, vma.vm_end)
        yield from super().copied_vma(cpu, src, dst, vma)


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        (Balanced, {"torn-fork-copy"}),
        (lambda: Balanced("wrprotect"), {"torn-fork-copy"}),
        (NoTranslationIsOld, {"torn-fork-copy"}),
        (lambda: NoTranslationIsOld("wrprotect"), set()),
    ],
)
def test_the_copy_tears_unless_fork_write_protects_and_flushes(
    policy: type[Balanced], verdicts: set[str]
) -> None:
    found = explore(lambda: SimulatedWorld(TEARING, policy()))
    assert found.exhaustive
    assert set(found.verdicts) == verdicts


# Each rule taken out once ---------------------------------------------------------------------


class NothingIsUnCowed(Balanced):
    """A VMA is marked, and its pages stay what they are."""

    def gup_look_at_vma(self, cpu: Cpu, mm: MmStruct, vma: Vma) -> Op[bool]:
        vma.vm_flags |= Vm.DONTCOW
        return False
        yield


class NothingIsMarked(Balanced):
    """gup takes pages as 2.6.29 did."""

    gup_look_at_vma = Linux2_6_29.gup_look_at_vma


class ForkShares(Balanced):
    """fork knows nothing of VM_DONTCOW."""

    copied_vma = Linux2_6_29.copied_vma
    copy_writable_pte = Linux2_6_29.copy_writable_pte
    copy_readonly_pte = Linux2_6_29.copy_readonly_pte


class FastTakesUnmarked(Balanced):
    """gup-fast takes what slow gup has never seen."""

    gup_fast_may_hold = Linux2_6_29.gup_fast_may_hold


MUTANTS = [
    (NothingIsMarked, "lost-read", "lost-dma-write"),
    (NothingIsUnCowed, "reverse-race", "foreign-dma-read"),
    (ForkShares, "lost-read", "lost-dma-write"),
    (FastTakesUnmarked, "lost-read", "lost-dma-write"),
]


@pytest.mark.parametrize(("mutant", "scenario", "kind"), MUTANTS)
def test_without_one_rule_it_shows(mutant: type[Balanced], scenario: str, kind: str) -> None:
    assert kind in simulate(SCENARIOS[scenario], mutant()).kinds


def test_slow_gup_clears_the_huge_entries_of_hugetlb_and_loses_what_they_mapped() -> None:
    """pmd_none_or_clear_bad(): the line for hugetlb is a comment in the patch."""
    world, parent, buf = huge_page(POLICY)
    old = parent.page(buf)
    parent.register(buf)
    assert parent.page(buf) is not old
    # Nobody flushed: what has a translation sees the page that is gone.
    assert (parent.load(buf), world.process(parent.mm).load(buf)) == (b"I", b"\0")
    assert old.refcount.peek() == 1
    with pytest.raises(InvariantError, match="refcount-leak"):
        world.kernel.check(at_rest=True)


def test_gup_fast_takes_hugetlb_and_fork_shares_it() -> None:
    world, parent, buf = huge_page(POLICY)
    world.complete(parent.read_disk(buf))
    assert not is_marked(parent.page(buf))
    assert parent.fork().page(buf) is parent.page(buf)
    world.kernel.check(at_rest=True)
