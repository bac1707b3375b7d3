"""What a scenario in flight is for: a rule taken out of a kernel that shows in it.

The kernel as it is shows nothing there (``uemu.expected``).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from uemu.abi import Foll
from uemu.mm.fork import share_page
from uemu.mm.hooks import GupCall, PolicyHooks
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pte import AnyPte, Pte
from uemu.mm.vma import Vma
from uemu.policy.arcangeli_2009_v2 import Arcangeli2009V2
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.linux_5_19 import Linux5_19
from uemu.policy.linux_6_5 import Linux6_5
from uemu.policy.piggin_2009_page import PG_DONTCOW, Piggin2009Page
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.simulate import simulate
from uemu.step import Cpu, Op

LOST = "lost-dma-write"
SEEN = "dma-write-seen-by-other"
FOREIGN = "foreign-dma-read"


class ForkLeavesTheParentReadOnly(Arcangeli2009V2):
    """The parent's entry does not get its write bit back after the copy."""

    def copy_writable_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int, pte: Pte
    ) -> Op[None]:
        yield from super().copy_writable_pte(cpu, src, dst, vma, base, pte)
        self.mech.ptep_set_wrprotect(cpu, src, base, pte.wrprotect())


class MarkIsGoneAfterFork(Piggin2009Page):
    """fork takes the mark of what it copied away."""

    def decow_one_pte(self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, page: Page) -> Op[None]:
        yield from super().decow_one_pte(cpu, mm, vma, base, page)
        cpu.write(page.flag(PG_DONTCOW), False)


class MarkIsAskedOfWritableEntries(Piggin2009Page):
    """fork asks for the mark where it write-protects the entry itself."""

    def copy_present_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int
    ) -> Op[None]:
        pte = src.pte(base).peek()
        if isinstance(pte, Pte) and not pte.write:
            yield src.page_table_lock.step("copy_one_pte", "share")
            share_page(self.mech, cpu, dst, base, pte)
        else:
            yield from super().copy_present_pte(cpu, src, dst, vma, base)


class ReadGupLeavesCow(Arcangeli2009V2):
    """A read gup takes a read-only page as it is."""

    def gup_must_decow(self, pte: Pte) -> bool:
        return False

    def gup_may_keep(self, pte: AnyPte, foll: Foll) -> bool:
        return isinstance(pte, Pte)


class GupReadsOnly(Linux2_6_29):
    """gup for a device that writes does not ask for a writable page."""

    def gup_kind(self, api: str, *, write: bool) -> GupCall:
        call = super().gup_kind(api, write=write)
        return replace(call, foll=call.foll & ~Foll.WRITE)


class NothingIsExclusive(Linux5_19):
    """No page is known to be its owner's alone."""

    def new_anon_page(self, cpu: Cpu, page: Page) -> None:
        pass


class ForkShares(Linux6_5):
    """fork does not copy what may be pinned."""

    def page_needs_cow_for_dma(self, cpu: Cpu, mm: MmStruct, page: Page) -> bool:
        return False

    def check_pinned(self, cpu: Cpu, page: Page) -> None:
        pass


@pytest.mark.parametrize(
    ("scenario", "policy", "verdicts"),
    [
        ("refork", ForkLeavesTheParentReadOnly, {LOST, SEEN}),
        ("refork", MarkIsGoneAfterFork, {LOST, SEEN}),
        ("mprotect-fork", MarkIsAskedOfWritableEntries, {LOST, SEEN}),
        ("both-pinned-for-read", ReadGupLeavesCow, {FOREIGN}),
        ("fork-then-direct-read", GupReadsOnly, {LOST, SEEN}),
        ("mprotect-toggle-while-pinned", NothingIsExclusive, {LOST}),
        ("lost-read-aligned", ForkShares, {SEEN}),
        ("forkscrew", ForkShares, {LOST, SEEN}),
        ("grandchild", ForkShares, {LOST, SEEN}),
        ("munmap-in-flight", ForkShares, {SEEN}),
        ("exit-in-flight", ForkShares, {SEEN}),
        ("mremap-in-flight", ForkShares, {LOST, SEEN}),
    ],
)
def test_without_a_rule_it_shows(
    scenario: str, policy: type[PolicyHooks], verdicts: set[str]
) -> None:
    told = SCENARIOS[scenario]
    assert simulate(told, policy()).kinds == verdicts
    assert simulate(told, policy.__bases__[0]()).kinds == set()


@pytest.mark.parametrize("policy", [ForkLeavesTheParentReadOnly, MarkIsGoneAfterFork])
def test_one_fork_does_not_show_what_refork_is_for(policy: type[PolicyHooks]) -> None:
    assert simulate(SCENARIOS["lost-read"], policy()).kinds == set()
