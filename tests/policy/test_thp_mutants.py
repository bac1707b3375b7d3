"""A rule about transparent huge pages is taken out, and a named verdict appears."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policy.test_mutants import Mutant
from uemu.abi import PAGE_SIZE
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, page_mapcount
from uemu.mm.pte import Pte
from uemu.oracle.violations import KINDS
from uemu.policy.linux_4_19 import Linux4_19
from uemu.policy.linux_5_8 import Linux5_8
from uemu.policy.linux_5_9 import Linux5_9
from uemu.policy.linux_5_19 import Linux5_19
from uemu.policy.linux_6_5 import Linux6_5
from uemu.scenario.actions import DeviceStores, Fork, Register, Release, Store
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.simulate import simulate, tell
from uemu.scenario.thp_lost_read import setup
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op


def _registered(stage: Stage) -> Script:
    memory = yield Register(stage.buf + PAGE_SIZE, 512, writable=True, api="rdma")
    yield DeviceStores(memory, 1, b"D")
    yield Release(memory)


def _fork(stage: Stage) -> Script:
    yield Fork("child")


def _store(stage: Stage) -> Script:
    yield Store(stage.buf + PAGE_SIZE, b"P")


def _store_first(stage: Stage) -> Script:
    yield Store(stage.buf, b"P")


def _store_beside(stage: Stage) -> Script:
    yield Store(stage.buf + 2 * PAGE_SIZE, b"P")


REGISTERED_OVER_FORK = Scenario(
    "registered-over-fork",
    "a page of a huge page registered, fork, parent stores to it, device writes",
    setup,
    {"io": _registered, "fork": _fork, "cpu": _store},
    {},
    "io fork cpu io io",
)

STORES_BESIDE = Scenario(
    "stores-beside",
    "fork, parent stores to the first page of a huge page, child to another",
    setup,
    {"fork": _fork, "cpu": _store_first},
    {"child": _store_beside},
    "fork cpu child",
)


class WritersTakeOver(Linux4_19):
    """do_huge_pmd_wp_page without the mapcount."""

    def thp_reuse(self, cpu: Cpu, mm: MmStruct, base: int, pmd: Pte, page: Page) -> Op[bool | None]:
        return True
        yield


class EachPartForItself(Linux5_8):
    """The mapcount of one page is asked, and not of that which most map."""

    def reuse_swap_page(self, cpu: Cpu, page: Page) -> bool:
        return page_mapcount(cpu, page) == 1


class AllIsCopied(Linux5_8):
    """Without 3917c80280c9."""

    thp_cow_copies_all = True


class ForkSharesPinnedHugePages(Linux5_9):
    """copy_huge_pmd without d042035eaf5f."""

    def thp_fork_splits(self, cpu: Cpu, src: MmStruct, page: Page) -> bool:
        return False


class HugePagesAskPageCount(Linux5_9):
    """do_huge_pmd_wp_page asks what do_wp_page does, as since 3bff7e3f1f16."""

    def thp_reuse(self, cpu: Cpu, mm: MmStruct, base: int, pmd: Pte, page: Page) -> Op[bool | None]:
        return self.reuse_anon_page(cpu, mm, base, pmd, page)


class SplitForgetsTheBit(Linux5_19):
    """Of a split entry only the head is exclusive, so that fork shares the others."""

    def thp_was_split(self, cpu: Cpu, pages: list[Page]) -> None:
        pass


class ForkLeavesTheHeadExclusive(Linux5_19):
    """fork shares a huge page and leaves its bit, so that both reuse it."""

    thp_fork_shares = Linux5_9.thp_fork_shares


class HugePinsDoNotUnshare(Linux6_5):
    """gup_huge_pmd and follow_trans_huge_pmd take what is shared; the sanity check stays."""

    may_keep_huge = Linux4_19.may_keep_huge

    def must_unshare(self, cpu: Cpu, pte: Pte, page: Page, foll: Any) -> bool:
        return pte.nr == 1 and super().must_unshare(cpu, pte, page, foll)


MUTANTS = [
    Mutant(WritersTakeOver, Linux4_19, SCENARIOS["thp-lost-read"], "lost-store"),
    Mutant(EachPartForItself, Linux5_8, SCENARIOS["thp-lost-read"], "dma-write-seen-by-other"),
    Mutant(EachPartForItself, Linux5_8, STORES_BESIDE, "lost-store"),
    Mutant(AllIsCopied, Linux5_8, SCENARIOS["thp-other-subpage"], "lost-dma-write"),
    Mutant(ForkSharesPinnedHugePages, Linux5_9, REGISTERED_OVER_FORK, "lost-dma-write"),
    Mutant(HugePagesAskPageCount, Linux5_9, SCENARIOS["thp-child-exits-first"], "lost-dma-write"),
    Mutant(SplitForgetsTheBit, Linux5_19, REGISTERED_OVER_FORK, "lost-dma-write"),
    Mutant(ForkLeavesTheHeadExclusive, Linux5_19, SCENARIOS["thp-lost-read"], "lost-store"),
    Mutant(HugePinsDoNotUnshare, Linux6_5, SCENARIOS["thp-reverse-race"], "not-exclusive"),
]


@pytest.mark.parametrize(
    "row", MUTANTS, ids=[f"{row.mutant.__name__}-{row.kind}" for row in MUTANTS]
)
def test_told_in_order_the_mutant_shows_it_and_the_original_does_not(row: Mutant) -> None:
    assert row.kind in KINDS
    assert row.kind not in simulate(row.scenario, row.original()).kinds
    assert row.kind in simulate(row.scenario, row.mutant()).kinds


class _NoReferences(SimulatedWorld):
    """A split gives the new entries no references."""

    def _set_up(self) -> None:
        super()._set_up()
        mech, get_page = self.kernel.mech, self.kernel.mech.get_page

        def one(cpu: Cpu, page: Page, n: int = 1) -> None:
            get_page(cpu, page, 1 if page.nr > 1 and n > 1 else n)

        mech.get_page = one  # type: ignore[method-assign]


def test_entries_that_a_split_gives_no_references_are_noticed() -> None:
    scenario = SCENARIOS["thp-other-subpage"]
    assert "refcount-leak" not in simulate(scenario, "linux-5.8").kinds
    assert "refcount-leak" in tell(_NoReferences(scenario, "linux-5.8")).kinds
