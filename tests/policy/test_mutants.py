"""A rule is taken out of a kernel, and a named verdict appears that was not there.

Each mutant is the kernel with one method put back or left out. If a mutant
stops showing its verdict, the rule is no longer tested, or no longer needed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from uemu.abi import Foll
from uemu.explore import explore
from uemu.mm.hooks import GupCall, PolicyHooks
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pte import AnyPte, Pte
from uemu.mm.vma import Vma
from uemu.oracle.violations import KINDS
from uemu.policy.arcangeli_2009_page_multiple import Arcangeli2009PageMultiple
from uemu.policy.arcangeli_2009_v1 import Arcangeli2009V1
from uemu.policy.arcangeli_2009_v2 import Arcangeli2009V2
from uemu.policy.kosaki_2009_pinned_sem import Kosaki2009PinnedSem
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.linux_4_19 import Linux4_19
from uemu.policy.linux_5_8 import Linux5_8
from uemu.policy.linux_5_9 import Linux5_9
from uemu.policy.linux_5_11 import Linux5_11
from uemu.policy.linux_5_19 import Linux5_19
from uemu.policy.linux_6_5 import Linux6_5
from uemu.policy.piggin_2009_page import Piggin2009Page
from uemu.policy.redhat_2_6_18 import Redhat2_6_18
from uemu.policy.registry import POLICIES
from uemu.scenario.actions import (
    Complete,
    DeviceLoads,
    DeviceStores,
    DirectWrite,
    Fork,
    Load,
    Register,
    Release,
    Store,
)
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill
from uemu.scenario.simulate import simulate, tell
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op

# Scenarios for what the catalogue does not have yet -------------------------------------


def _registered(stage: Stage) -> Script:
    memory = yield Register(stage.buf, 512, writable=True, api="rdma")
    yield DeviceStores(memory, 1, b"D")
    yield Release(memory)


def _mapped_read_only(stage: Stage) -> Script:
    memory = yield Register(stage.buf, 512, writable=False, api="vfio")
    yield DeviceLoads(memory, 0, 1)
    yield Release(memory)


def _fork(stage: Stage) -> Script:
    yield Fork("child")


def _fork_and_store(stage: Stage) -> Script:
    yield Fork("child")
    yield Store(stage.buf, b"P")


def _store(stage: Stage) -> Script:
    yield Store(stage.buf, b"P")


REGISTERED_OVER_FORK = Scenario(
    "registered-over-fork",
    "memory registered, fork, parent stores, device writes",
    map_and_fill,
    {"io": _registered, "fork": _fork, "cpu": _store},
    {},
    "io fork cpu io io",
)

READ_ONLY_AFTER_FORK = Scenario(
    "read-only-after-fork",
    "fork, memory registered for reading, parent stores, device reads",
    map_and_fill,
    {"io": _mapped_read_only, "fork": _fork, "cpu": _store},
    {},
    "fork io cpu io io",
)

REGISTRATION_VS_FORK = Scenario(
    "registration-vs-fork",
    "memory registered by gup-fast while another thread forks and stores, device writes",
    SCENARIOS["gup-fast-vs-fork"].setup,
    {"io": _registered, "fork": _fork_and_store},
    {},
    "io fork fork io io",
)


# Mutants ---------------------------------------------------------------------------------


class V1ForkIgnoresPgGup(Arcangeli2009V1):
    """fork shares as 2.6.29 did."""

    copy_writable_pte = Linux2_6_29.copy_writable_pte


class V1SlowGupDoesNotMark(Arcangeli2009V1):
    """Only gup-fast marks the page."""

    follow_page_pte = Linux2_6_29.follow_page_pte


class V1FastGupDoesNotMark(Arcangeli2009V1):
    """Only follow_page marks the page."""

    gup_fast_pte = Linux2_6_29.gup_fast_pte


class V1FastGupLooksOnce(Arcangeli2009V1):
    """gup-fast keeps the page whatever its entry has become."""

    def gup_may_keep(self, pte: AnyPte, foll: Foll) -> bool:
        return True


class ForkIgnoresPgGup(Arcangeli2009V2):
    """fork shares as 2.6.29 did."""

    copy_writable_pte = Linux2_6_29.copy_writable_pte


class ReadGupLeavesCow(Arcangeli2009V2):
    """A read gup takes a read-only page as v1 did."""

    gup_may_keep = Arcangeli2009V1.gup_may_keep
    gup_must_decow = Arcangeli2009V1.gup_must_decow


class PigginForkIgnoresDontcow(Piggin2009Page):
    """fork shares as 2.6.29 did."""

    copy_readonly_pte = Linux2_6_29.copy_readonly_pte


class PigginFastTakesUnmarked(Piggin2009Page):
    """gup-fast takes a page that slow gup has not marked."""

    gup_fast_may_hold = Linux2_6_29.gup_fast_may_hold


class PigginDoesNotMark(Piggin2009Page):
    """Slow gup breaks COW and sets no mark."""

    follow_page_pte = Linux2_6_29.follow_page_pte


class PigginReadGupLeavesCow(Piggin2009Page):
    """Slow gup marks a page that it takes as it is."""

    should_force_cow_break = Linux2_6_29.should_force_cow_break


class WritersTakeOver(Linux4_19):
    """do_wp_page without the mapcount: whoever stores takes the page over."""

    def reuse_swap_page(self, cpu: Cpu, page: Page) -> bool:
        return True


class SlowReadGupLeavesCow(Linux5_8):
    """17839856fd58 in gup-fast alone: whoever falls back reads what is mapped."""

    follow_page_pte = Linux4_19.follow_page_pte


class FastReadGupLeavesCow(Linux5_8):
    """17839856fd58 in the slow path alone."""

    gup_fast_pte = Linux4_19.gup_fast_pte


class WriteFaultAsksMapcount(Linux5_9):
    """do_wp_page as before 09854ba94c6a."""

    reuse_swap_page = Linux2_6_29.reuse_swap_page
    reuse_anon_page = Linux2_6_29.reuse_anon_page


class ForkSharesPins(Linux5_9):
    """fork without 70e806e4e645."""

    def page_needs_cow_for_dma(self, cpu: Cpu, mm: MmStruct, page: Page) -> bool:
        return False


class NobodyNotesPins(Linux5_9):
    """gup without mm->has_pinned."""

    def gup_mark_mm(self, cpu: Cpu, mm: MmStruct, foll: Any) -> None:
        pass


class FastPinsAskNothing(Linux5_11):
    """gup's half of 57efa1fe5957 is missing."""

    gup_fast_begin = Linux5_9.gup_fast_begin
    gup_fast_end = Linux5_9.gup_fast_end


class FastPinsAskBeforeOnly(Linux5_11):
    """gup-fast does not look whether the seqcount moved."""

    gup_fast_end = Linux5_9.gup_fast_end


class ForkLeavesTheSeqcount(Linux5_11):
    """fork's half of 57efa1fe5957 is missing."""

    copy_page_range_begin = Linux5_9.copy_page_range_begin
    copy_page_range_end = Linux5_9.copy_page_range_end


class PinsDoNotUnshare(Linux5_19):
    """5.19 without a7f226604170; its sanity check stays."""

    def must_unshare(self, cpu: Cpu, pte: Pte, page: Page, foll: Any) -> bool:
        return False


class PinsDoNotUnshareUnchecked(PinsDoNotUnshare):
    """And without the sanity check: the harm itself."""

    def check_pinned(self, cpu: Cpu, page: Page) -> None:
        pass


class ForkLeavesExclusive(Linux5_19):
    """fork shares a page and leaves PG_anon_exclusive set, so both may reuse it."""

    def copy_present_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int
    ) -> Op[None]:
        pte = src.pte(base).peek()
        assert isinstance(pte, Pte)
        yield from super().copy_present_pte(cpu, src, dst, vma, base)
        cpu.write(self.mech.page_of(pte).anon_exclusive, True)


class SharedPagesAreTakenOver(Linux5_19):
    """A write fault takes a page over whoever else refers to it."""

    def has_other_references(self, cpu: Cpu, page: Page) -> bool:
        return False


class DirectIoGets(Linux6_5):
    """6.5 without a7e689dd1c06 and 1ccf164ec866."""

    def gup_kind(self, api: str, *, write: bool) -> GupCall:
        return Linux5_19.gup_kind(self, api, write=write)


class ForkSharesPinnedHugetlb(Linux6_5):
    """6.5 without 4eae4efa2c29."""

    copy_huge_pte = Linux2_6_29.copy_huge_pte
    check_pinned = PinsDoNotUnshareUnchecked.check_pinned


class PinsDoNotUnshareHugetlb(PinsDoNotUnshareUnchecked, Linux6_5):
    """6.5, and a read-only pin takes a shared page of hugetlb."""

    def hugetlb_must_unshare(self, cpu: Cpu, page: Page, foll: Foll) -> bool:
        return False

    may_keep_huge = Linux4_19.may_keep_huge


class HugetlbForkIgnoresPgGup(Arcangeli2009V2):
    """v2 without its half of copy_hugetlb_page_range."""

    copy_huge_pte = Linux2_6_29.copy_huge_pte


class HugetlbWriteFaultAsksTheMapcount(Linux2_6_29):
    """2.6.29 with 0fe6e20b9c4c."""

    hugetlb_may_reuse = Linux4_19.hugetlb_may_reuse


class HugetlbReadGupLeavesCow(Linux5_8):
    """5.8 that forces nothing of hugetlb, neither fast nor slow."""

    hugetlb_foll = Linux4_19.hugetlb_foll
    gup_huge_pmd = Linux4_19.gup_huge_pmd


class Unchecked(Linux6_5):
    """6.5 without CONFIG_DEBUG_VM: what harm is done, it does not complain of."""

    def check_pinned(self, cpu: Cpu, page: Page) -> None:
        pass


class NoWriteProtectSeq(Unchecked):
    """gup-fast without 57efa1fe5957."""

    gup_fast_begin = Linux5_9.gup_fast_begin
    gup_fast_end = Linux2_6_29.gup_fast_end


class HugetlbForkLeavesTheSeqcount(Unchecked):
    """fork of hugetlb without 623a1ddfeb23."""

    copy_hugetlb_begin = Linux5_11.copy_hugetlb_begin
    copy_hugetlb_end = Linux5_11.copy_hugetlb_end


class ForkMarksNothingOdd(Unchecked):
    """fork's half of 57efa1fe5957 is missing."""

    copy_page_range_begin = Linux2_6_29.copy_page_range_begin
    copy_page_range_end = Linux2_6_29.copy_page_range_end


class ForkIgnoresTheCount(Redhat2_6_18):
    """fork shares whatever is held, as 2.6.29 did."""

    def has_other_references(self, cpu: Cpu, page: Page) -> bool:
        return False


class GupFastIsBackPorted(Redhat2_6_18):
    """get_user_pages_fast() takes references without mmap_sem."""

    gup_fast_begin = Linux2_6_29.gup_fast_begin


class SectorsAreTaken(Arcangeli2009PageMultiple):
    """O_DIRECT takes multiples of the hard block size, as ever."""

    dio_multiple = Linux2_6_29.dio_multiple


class Mutant(NamedTuple):
    """A mutant, the kernel it comes from, where it shows, and what."""

    mutant: type[PolicyHooks]
    original: type[PolicyHooks]
    scenario: Scenario
    kind: str


MUTANTS = [
    Mutant(V1ForkIgnoresPgGup, Arcangeli2009V1, SCENARIOS["lost-read"], "lost-dma-write"),
    Mutant(V1SlowGupDoesNotMark, Arcangeli2009V1, REGISTERED_OVER_FORK, "lost-dma-write"),
    Mutant(V1FastGupDoesNotMark, Arcangeli2009V1, SCENARIOS["lost-read"], "lost-dma-write"),
    Mutant(ForkIgnoresTheCount, Redhat2_6_18, SCENARIOS["lost-read"], "lost-dma-write"),
    Mutant(SectorsAreTaken, Arcangeli2009PageMultiple, SCENARIOS["lost-read"], "lost-dma-write"),
    Mutant(ForkIgnoresPgGup, Arcangeli2009V2, SCENARIOS["lost-read"], "lost-dma-write"),
    Mutant(ReadGupLeavesCow, Arcangeli2009V2, SCENARIOS["reverse-race"], "foreign-dma-read"),
    Mutant(PigginForkIgnoresDontcow, Piggin2009Page, SCENARIOS["lost-read"], "lost-dma-write"),
    Mutant(PigginFastTakesUnmarked, Piggin2009Page, SCENARIOS["lost-read"], "lost-dma-write"),
    Mutant(PigginDoesNotMark, Piggin2009Page, SCENARIOS["lost-read"], "lost-dma-write"),
    Mutant(PigginReadGupLeavesCow, Piggin2009Page, SCENARIOS["reverse-race"], "foreign-dma-read"),
    Mutant(WritersTakeOver, Linux4_19, SCENARIOS["lost-read"], "lost-store"),
    Mutant(SlowReadGupLeavesCow, Linux5_8, SCENARIOS["reverse-race"], "foreign-dma-read"),
    Mutant(FastReadGupLeavesCow, Linux5_8, SCENARIOS["reverse-race"], "foreign-dma-read"),
    Mutant(WriteFaultAsksMapcount, Linux5_9, SCENARIOS["reverse-race"], "foreign-dma-read"),
    Mutant(ForkSharesPins, Linux5_9, REGISTERED_OVER_FORK, "lost-dma-write"),
    Mutant(NobodyNotesPins, Linux5_9, REGISTERED_OVER_FORK, "lost-dma-write"),
    Mutant(PinsDoNotUnshare, Linux5_19, READ_ONLY_AFTER_FORK, "not-exclusive"),
    Mutant(PinsDoNotUnshareUnchecked, Linux5_19, READ_ONLY_AFTER_FORK, "stale-dma-read"),
    Mutant(ForkLeavesExclusive, Linux5_19, SCENARIOS["ro-pin-then-fork"], "foreign-dma-read"),
    Mutant(SharedPagesAreTakenOver, Linux5_19, SCENARIOS["reverse-race"], "foreign-dma-read"),
    Mutant(DirectIoGets, Linux6_5, SCENARIOS["lost-read"], "lost-dma-write"),
    Mutant(ForkSharesPinnedHugetlb, Linux6_5, SCENARIOS["hugetlb-lost-read"], "lost-dma-write"),
    Mutant(
        PinsDoNotUnshareHugetlb, Linux6_5, SCENARIOS["hugetlb-reverse-race"], "foreign-dma-read"
    ),
    Mutant(
        HugetlbForkIgnoresPgGup, Arcangeli2009V2, SCENARIOS["hugetlb-lost-read"], "lost-dma-write"
    ),
    Mutant(
        HugetlbWriteFaultAsksTheMapcount,
        Linux2_6_29,
        SCENARIOS["hugetlb-reverse-race"],
        "foreign-dma-read",
    ),
    Mutant(
        HugetlbReadGupLeavesCow, Linux5_8, SCENARIOS["hugetlb-reverse-race"], "foreign-dma-read"
    ),
]

RACES = [
    Mutant(V1FastGupLooksOnce, Arcangeli2009V1, SCENARIOS["gup-fast-vs-fork"], "lost-dma-write"),
    Mutant(GupFastIsBackPorted, Redhat2_6_18, SCENARIOS["gup-fast-vs-fork"], "lost-dma-write"),
    Mutant(Linux5_9, Linux5_11, REGISTRATION_VS_FORK, "lost-dma-write"),
    Mutant(FastPinsAskNothing, Linux5_11, REGISTRATION_VS_FORK, "lost-dma-write"),
    Mutant(FastPinsAskBeforeOnly, Linux5_11, REGISTRATION_VS_FORK, "lost-dma-write"),
    Mutant(ForkLeavesTheSeqcount, Linux5_11, REGISTRATION_VS_FORK, "lost-dma-write"),
    Mutant(NoWriteProtectSeq, Linux6_5, SCENARIOS["gup-fast-vs-fork"], "lost-dma-write"),
    Mutant(ForkMarksNothingOdd, Linux6_5, SCENARIOS["gup-fast-vs-fork"], "lost-dma-write"),
    Mutant(
        HugetlbForkLeavesTheSeqcount,
        Linux6_5,
        SCENARIOS["hugetlb-pin-vs-fork"],
        "lost-dma-write",
    ),
]


def _id(row: Mutant) -> str:
    return row.mutant.__name__


@pytest.mark.parametrize("row", MUTANTS, ids=_id)
def test_told_in_order_the_mutant_shows_it_and_the_original_does_not(row: Mutant) -> None:
    assert row.kind in KINDS
    assert row.kind not in simulate(row.scenario, row.original()).kinds
    assert row.kind in simulate(row.scenario, row.mutant()).kinds


@pytest.mark.parametrize("row", RACES, ids=_id)
def test_in_some_order_the_mutant_shows_it_and_in_none_the_original(row: Mutant) -> None:
    assert row.kind not in simulate(row.scenario, row.mutant()).kinds

    original = explore(lambda: SimulatedWorld(row.scenario, row.original()))
    assert original.exhaustive
    assert original.verdicts == {}

    found = explore(lambda: SimulatedWorld(row.scenario, row.mutant()), wanted=row.kind)
    assert row.kind in found.verdicts


# The flushes are the mechanism's, not a policy's -------------------------------------------


class _Unflushed(SimulatedWorld):
    """TLB flushes reach nobody, after the setup."""

    def __init__(self, scenario: Scenario, policy: str | PolicyHooks) -> None:
        super().__init__(scenario, policy)
        self.kernel.mech.flush_tlb_range = _no_flush  # type: ignore[method-assign]


def _no_flush(cpu: Cpu, mm: MmStruct, start: int, end: int) -> Op[None]:
    return
    yield


def _store_twice(stage: Stage) -> Script:
    yield Store(stage.buf, b"W")
    yield Store(stage.buf, b"P")


def _fill_a_pipe(stage: Stage) -> Script:
    pipe = yield DirectWrite(stage.buf, 512, api="vmsplice")
    yield Complete(pipe)


def _load_twice(stage: Stage) -> Script:
    yield Load(stage.buf, 1)
    yield Load(stage.buf, 1)


STALE_STORE = Scenario(
    "stale-store",
    "a thread stores, fork, the child fills a pipe, the thread stores again, the pipe is read",
    map_and_fill,
    {"fork": _fork, "cpu": _store_twice},
    {"child": _fill_a_pipe},
    "cpu fork child cpu child",
)

# Under directed COW the child's pipe gets what the first owner stores, stale or not.
APART = ("torvalds-2009-directed-cow", "piggin-2009-one-reader")

BREAKING_COW = (
    "piggin-2009-vma",
    Arcangeli2009V2.name,
    Piggin2009Page.name,
    Kosaki2009PinnedSem.name,
    Linux5_8.name,
)
"""Where the child's read gup gets it a page of its own, which no stale store reaches."""

STALE_LOAD = Scenario(
    "stale-load",
    "a thread loads, fork, another stores, the first loads again",
    map_and_fill,
    {"fork": _fork, "cpu": _store, "reader": _load_twice},
    {},
    "reader fork cpu reader",
)


@pytest.mark.parametrize(
    ("world", "kinds"), [(SimulatedWorld, set()), (_Unflushed, {"secret-leak"})]
)
@pytest.mark.parametrize(
    "policy", [name for name in POLICIES if name not in BREAKING_COW and name not in APART]
)
def test_without_the_flush_of_fork_a_store_reaches_the_childs_frame(
    world: type[SimulatedWorld], kinds: set[str], policy: str
) -> None:
    assert tell(world(STALE_STORE, policy)).kinds == kinds


@pytest.mark.parametrize(
    ("world", "loaded", "kinds"),
    [(SimulatedWorld, b"P", set()), (_Unflushed, b"I", {"lost-store"})],
)
@pytest.mark.parametrize("policy", [name for name in POLICIES if name not in APART])
def test_without_the_flush_of_wp_page_copy_another_cpu_loads_the_old_frame(
    world: type[SimulatedWorld], loaded: bytes, kinds: set[str], policy: str
) -> None:
    verdict = tell(world(STALE_LOAD, policy))
    assert verdict.seen[-1] == ("reader", loaded)
    assert verdict.kinds == kinds
