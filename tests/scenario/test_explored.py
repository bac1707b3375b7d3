"""Scenarios in every order: what shows up, and how many orders there are.

A number that changed asks which step moved: was a hold cut in two, a cell
touched that was not before? Then say so here, and raise FORMAT in
`uemu.explore.schedule` if schedules no longer mean the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.common import TinyWorld, made_up
from tests.explore.toys import Toy, explore_ends, toy
from uemu.abi import MADV_DONTNEED, PAGE_SIZE
from uemu.errors import Fault
from uemu.events import MmId
from uemu.explore import Exploration, Schedule, explore, replay
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.mmu import SimulatedMmu
from uemu.mm.page import Page, is_freed
from uemu.scenario.actions import (
    Complete,
    DirectRead,
    Load,
    Madvise,
    Mremap,
    Munmap,
    Store,
)
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Script, Stage
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op, RecordingCpu, Step

LOST = "lost-dma-write"
SEEN = "dma-write-seen-by-other"
FOREIGN = "foreign-dma-read"


def explored(
    scenario: str, policy: str, *, ipi_waits_for_gup_fast: bool = True, **options: bool
) -> Exploration:
    """Explore a scenario under a policy."""
    return explore(
        lambda: SimulatedWorld(
            SCENARIOS[scenario], policy, ipi_waits_for_gup_fast=ipi_waits_for_gup_fast
        ),
        **options,  # type: ignore[arg-type]
    )


def slow(policy: str, verdicts: set[str]) -> Any:
    """A row that takes a while."""
    return pytest.param(policy, verdicts, marks=pytest.mark.slow)


# gup-fast against fork -----------------------------------------------------------------------


def test_without_the_recheck_the_race_torvalds_drew_is_found() -> None:
    """L. Torvalds, 2009-03-11 19:01, document 003."""
    found = explored("gup-fast-vs-fork", "arcangeli-2009-v2:norecheck")
    assert found.exhaustive
    assert set(found.verdicts) == {LOST, SEEN}
    assert found.schedules == 32


def test_the_race_is_found_as_he_drew_it() -> None:
    run = replay(
        lambda: SimulatedWorld(SCENARIOS["gup-fast-vs-fork"], "arcangeli-2009-v2:norecheck"),
        Schedule.parse("uemu1:00011101111111100"),
    )
    assert LOST in run.verdicts
    order = [(record.task_name, record.step.fn, record.step.what) for record in run.records]
    looked = order.index(("io", "gup_pte_range", "writable ?"))
    tested = order.index(("fork", "copy_one_pte", "PG_gup ?"))
    marked = order.index(("io", "gup_pte_range", "SetPageGUP"))
    stored = order.index(("fork", "do_wp_page", "mapcount == 1 ?"))
    assert looked < tested < marked < stored


def test_with_the_recheck_there_is_nothing() -> None:
    """A. Arcangeli, 2009-03-11 19:59: "gup-fast will _not_ succeed"."""
    found = explored("gup-fast-vs-fork", "arcangeli-2009-v2")
    assert found.exhaustive
    assert found.verdicts == {}
    assert found.schedules == 58


def test_the_recheck_relies_on_the_ipi_that_waits_for_gup_fast() -> None:
    """It compares flags, not frames: after fork and a COW the entry is writable again."""
    found = explored("gup-fast-vs-fork", "arcangeli-2009-v2", ipi_waits_for_gup_fast=False)
    assert found.exhaustive
    assert set(found.verdicts) == {LOST, SEEN}
    assert found.schedules == 86


def test_without_the_ipi_the_entry_is_writable_again_when_it_is_looked_at_twice() -> None:
    run = explored("gup-fast-vs-fork", "arcangeli-2009-v2", ipi_waits_for_gup_fast=False).verdicts[
        LOST
    ]
    order = [(record.task_name, record.step.what) for record in run.records]
    copied = order.index(("fork", "pte_same ?"))
    assert order.index(("io", "writable ?")) < copied < order.index(("io", "still writable ?"))


@pytest.mark.parametrize(
    ("policy", "verdicts", "schedules"),
    [
        ("linux-2.6.29", {LOST, SEEN}, 35),
        ("linux-4.19", {LOST, SEEN}, 40),  # 2.6.29's, and a second look in gup-fast
        ("linux-5.8", {LOST, SEEN}, 40),
        ("linux-5.9", {LOST, SEEN}, 48),
        ("linux-5.11", {LOST, SEEN}, 48),  # a get does not ask write_protect_seq
        ("linux-5.19", {LOST, SEEN}, 48),
        pytest.param("linux-6.5", set(), 196, marks=pytest.mark.slow),
    ],
)
def test_gup_fast_vs_fork_under_the_kernels(
    policy: str, verdicts: set[str], schedules: int
) -> None:
    found = explored("gup-fast-vs-fork", policy)
    assert found.exhaustive
    assert set(found.verdicts) == verdicts
    assert found.schedules == schedules


@pytest.mark.slow
def test_write_protect_seq_does_not_rely_on_the_ipi() -> None:
    found = explored("gup-fast-vs-fork", "linux-6.5", ipi_waits_for_gup_fast=False)
    assert found.exhaustive
    assert found.verdicts == {}


@pytest.mark.slow
def test_reduction_shows_what_every_order_shows() -> None:
    for policy in ("linux-2.6.29", "arcangeli-2009-v2:norecheck"):
        reduced = explored("child-corrupted", policy)
        every = explored("child-corrupted", policy, reduction=False)
        assert reduced.exhaustive
        assert every.exhaustive
        assert set(reduced.verdicts) == set(every.verdicts) == {SEEN}
        assert reduced.schedules < every.schedules


# The other scenarios: an order may show what the canonical one does not -------------------------


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        ("linux-2.6.29", {LOST, SEEN}),
        ("arcangeli-2009-v2", set()),
        ("arcangeli-2009-v2:norecheck", {LOST, SEEN}),
        ("linux-5.9", {LOST, SEEN}),
        ("linux-5.19", {LOST, SEEN}),
        slow("linux-6.5", set()),
    ],
)
def test_lost_read_no_child_write(policy: str, verdicts: set[str]) -> None:
    found = explored("lost-read-no-child-write", policy)
    assert found.exhaustive
    assert set(found.verdicts) == verdicts


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        ("linux-2.6.29", {SEEN}),  # never lost: mapcount is 1 when the parent stores
        ("arcangeli-2009-v2", set()),
        ("linux-5.9", {LOST, SEEN}),
        ("linux-5.19", {LOST, SEEN}),
        slow("linux-6.5", set()),
    ],
)
def test_child_exits_first(policy: str, verdicts: set[str]) -> None:
    found = explored("child-exits-first", policy)
    assert found.exhaustive
    assert set(found.verdicts) == verdicts


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        ("linux-2.6.29", {FOREIGN}),
        ("arcangeli-2009-v2", set()),
        ("linux-5.9", set()),
        ("linux-5.19", set()),
        ("linux-6.5", set()),
    ],
)
def test_ro_pin_then_fork(policy: str, verdicts: set[str]) -> None:
    found = explored("ro-pin-then-fork", policy)
    assert found.exhaustive
    assert set(found.verdicts) == verdicts


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        ("linux-2.6.29", {FOREIGN}),
        ("arcangeli-2009-v2:norecheck", {FOREIGN}),
        slow("arcangeli-2009-v2", set()),
        slow("linux-5.9", set()),
        slow("linux-5.19", set()),
    ],
)
def test_reverse_race(policy: str, verdicts: set[str]) -> None:
    found = explored("reverse-race", policy)
    assert found.exhaustive
    assert set(found.verdicts) == verdicts


@pytest.mark.parametrize(
    "policy", ["linux-2.6.29", "arcangeli-2009-v2", "linux-5.9", "linux-5.19", "linux-6.5"]
)
def test_dontfork_is_safe_in_every_order(policy: str) -> None:
    found = explored("dontfork", policy)
    assert found.exhaustive
    assert found.verdicts == {}


# gup-fast against munmap ---------------------------------------------------------------------


def _read(stage: Stage) -> Script:
    with contextlib.suppress(Fault):
        read = yield DirectRead(stage.buf, 512)
        yield Complete(read, b"D" * 512)


def _unmap(stage: Stage) -> Script:
    yield Munmap(stage.buf, PAGE_SIZE)


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("policy", ["linux-4.19", "linux-5.9", "linux-6.5"])
def test_a_kernel_that_adds_unless_zero_never_holds_a_freed_page(policy: str, waits: bool) -> None:
    world = made_up("io unmap io", io=_read, unmap=_unmap)
    found = explore(lambda: SimulatedWorld(world, policy, ipi_waits_for_gup_fast=waits))
    assert found.exhaustive
    assert set(found.verdicts) == set()


@pytest.mark.parametrize(("waits", "verdicts"), [(True, set()), (False, {"pinned-page-freed"})])
def test_2_6_29_relies_on_the_ipi_not_to_hold_a_freed_page(waits: bool, verdicts: set[str]) -> None:
    world = made_up("io unmap io", io=_read, unmap=_unmap)
    found = explore(lambda: SimulatedWorld(world, "linux-2.6.29", ipi_waits_for_gup_fast=waits))
    assert set(found.verdicts) == verdicts


# Who looks at a count ------------------------------------------------------------------------


def _last_reference(world: Toy) -> None:
    """One gives the last reference back, another one takes one if the page is there: ``late``."""
    tiny = TinyWorld("linux-5.9")
    mech = tiny.kernel.mech
    page = mech.alloc_page(tiny.device, 0)

    def taker(cpu: RecordingCpu) -> Op[None]:
        yield Step("get_page", "unless zero")
        late = is_freed(cpu, page)
        world.see("late", late)
        if not late:
            mech.get_page(cpu, page)

    def giver(cpu: RecordingCpu) -> Op[None]:
        yield Step("put_page", "")
        mech.put_page(cpu, page)

    world.spawn("taker", taker)
    world.spawn("giver", giver)
    world.judge = lambda: frozenset({"late"} if world.log["late"] == [True] else ())


def _put_without_a_look(self: Mechanism, cpu: Cpu, page: Page) -> None:
    cpu.count(page.refcount, -1)


@pytest.mark.parametrize("looks", [True, False])
def test_who_puts_a_page_that_nobody_maps_has_to_look(
    looks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control for what `uemu.mm.page` says of counts: a put that never looks hides an order."""
    if not looks:
        monkeypatch.setattr(Mechanism, "put_page", _put_without_a_look)
    every = explore(toy(_last_reference), reduction=False)
    found = explore(toy(_last_reference))
    assert (every.schedules, set(every.verdicts)) == (2, {"late"})
    assert (found.schedules, set(found.verdicts)) == ((2, {"late"}) if looks else (1, set()))


# A flush of the TLB, under x86-TSO ---------------------------------------------------------------


def _flush_alone(self: SimulatedMmu, cpu: Cpu, target: Cpu, mm: MmId, start: int, end: int) -> None:
    cpu.touch(("tlb", target.name, mm), write=True)
    for base, cell in self._tlbs.get((target.name, mm), {}).items():
        if start <= base < end:
            cpu.put(cell, None)


def _clear_by_a_plain_store(self: Mechanism, cpu: Cpu, mm: MmStruct, base: int) -> None:
    self.set_pte_at(cpu, mm, base, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("serializes", "locked"), [(True, True), (True, False), (False, True), (False, False)]
)
def test_a_cleared_entry_is_seen_when_it_is_flushed(
    serializes: bool, locked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it were in the store buffer still, gup-fast would hold a page that is freed."""
    if not serializes:
        monkeypatch.setattr(SimulatedMmu, "flush", _flush_alone)
    if not locked:
        monkeypatch.setattr(Mechanism, "ptep_get_and_clear", _clear_by_a_plain_store)
    found = explore(lambda: SimulatedWorld(SCENARIOS["reverse-race"], "linux-2.6.29", tso=True))
    assert found.exhaustive
    assert set(found.verdicts) == (
        {FOREIGN} if serializes or locked else {FOREIGN, "pinned-page-freed"}
    )


# An mm that takes its own memory away ------------------------------------------------------------


def _drop_and_store(stage: Stage) -> Script:
    yield Madvise(stage.buf, PAGE_SIZE, MADV_DONTNEED)
    yield Store(stage.buf, b"n")


def _drop_and_load(stage: Stage) -> Script:
    yield Madvise(stage.buf, PAGE_SIZE, MADV_DONTNEED)
    yield Load(stage.buf, 1)


def _store(stage: Stage) -> Script:
    with contextlib.suppress(Fault):
        yield Store(stage.buf, b"s")


def _move(stage: Stage) -> Script:
    new = yield Mremap(stage.buf, PAGE_SIZE, PAGE_SIZE)
    yield Load(new, 1)


@pytest.mark.parametrize("reduction", [True, False], ids=["reduced", "every order"])
@pytest.mark.parametrize("policy", ["linux-2.6.29", "linux-5.9"])
@pytest.mark.parametrize(
    ("one", "other"),
    [(_read, _drop_and_store), (_store, _drop_and_load), (_store, _move), (_read, _move)],
    ids=["read, dontneed", "store, dontneed", "store, mremap", "read, mremap"],
)
def test_nothing_is_lost_that_its_owner_took_away_or_moved(
    one: Callable[[Stage], Script],
    other: Callable[[Stage], Script],
    policy: str,
    reduction: bool,
) -> None:
    world = made_up("one other", one=one, other=other)
    found = explore(lambda: SimulatedWorld(world, policy), reduction=reduction, max_schedules=4000)
    assert found.exhaustive or not reduction
    assert set(found.verdicts) == set()


def _drop_twice(stage: Stage) -> Script:
    yield Madvise(stage.buf, PAGE_SIZE, MADV_DONTNEED)
    yield Madvise(stage.buf, PAGE_SIZE, MADV_DONTNEED)


@pytest.mark.parametrize("policy", ["linux-2.6.29", "linux-6.5"])
def test_who_lists_the_entries_reads_those_that_are_not_there(policy: str) -> None:
    """MADV_DONTNEED and a fault hold mmap_lock together: what comes first is a race."""
    world = made_up("one other", one=_drop_twice, other=_store)
    every, ends = explore_ends(lambda: SimulatedWorld(world, policy), reduction=False)
    found, found_ends = explore_ends(lambda: SimulatedWorld(world, policy), reduction=True)
    assert every.exhaustive
    assert found.exhaustive
    assert found_ends == ends
    # Never there; stored and dropped once, twice, or not at all.
    assert len(ends) == 3
