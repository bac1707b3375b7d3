"""What a scenario with a reference that reads, or with a remedy, is for.

A rule is taken out of a kernel, or a remedy out of the system, and it shows;
the kernel as it is shows nothing there (``uemu.expected``).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from uemu.abi import MADV_DOFORK, MADV_DONTFORK, MADV_WIPEONFORK, PAGE_SIZE, Foll
from uemu.errors import Fault
from uemu.kernel import FORK_ADVICE
from uemu.mm.hooks import PolicyHooks
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.mm.vma import Vma
from uemu.policy.arcangeli_2009_v2 import Arcangeli2009V2
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.linux_5_8 import Linux5_8
from uemu.policy.linux_5_9 import Linux5_9
from uemu.policy.linux_5_19 import Linux5_19
from uemu.policy.linux_6_5 import Linux6_5
from uemu.policy.piggin_2009_page import Piggin2009Page
from uemu.policy.redhat_2_6_18 import Redhat2_6_18
from uemu.policy.registry import POLICIES
from uemu.scenario import lost_read
from uemu.scenario.actions import Complete, DeviceLoads, DirectWrite, Register, Release
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import SECTOR, Script, Stage
from uemu.scenario.simulate import simulate
from uemu.step import Cpu, Op, Step

LOST = "lost-dma-write"
SEEN = "dma-write-seen-by-other"
STALE = "stale-dma-read"
LEAK = "secret-leak"


class GupDoesNotForce(Linux5_8):
    """A read gup takes a shared page, and the zero page."""

    forces_cow_break = False


class PigginGupDoesNotDecow(Piggin2009Page):
    """get_user_pages breaks COW for a write only."""

    def should_force_cow_break(self, vma: Vma, foll: Foll) -> bool:
        return False


class FollowPageDoesNotDecow(Arcangeli2009V2):
    """follow_page takes a read-only page to read."""

    def gup_must_decow(self, pte: Pte) -> bool:
        return False


class PinsDoNotUnshare(Linux5_19):
    """A read-only pin takes a shared page, and nobody complains."""

    def must_unshare(self, cpu: Cpu, pte: Pte, page: Page, foll: Foll) -> bool:
        return False

    def check_pinned(self, cpu: Cpu, page: Page) -> None:
        pass


class TheZeroPageIsNotUnshared(Linux6_5):
    """Long-term pins read the zero page, as before 84209e87c696."""

    must_unshare = Linux5_19.must_unshare


class NobodyRemembersTheBreak(Linux5_8):
    """FOLL_COW is not set: gup asks for a writable entry again."""

    def foll_cow_broken(self, foll: Foll) -> Foll:
        return foll


class PigginForgetsTheBreak(Piggin2009Page):
    """FOLL_WRITE stays after VM_FAULT_WRITE."""

    def foll_cow_broken(self, foll: Foll) -> Foll:
        return foll


class WriteFaultAsksMapcount(Linux5_9):
    """A write fault reuses what one PTE maps, whoever refers to it."""

    reuse_anon_page = Linux2_6_29.reuse_anon_page


class ForkIgnoresTheCount(Redhat2_6_18):
    """fork shares whatever is held."""

    def has_other_references(self, cpu: Cpu, page: Page) -> bool:
        return False


class ForkWaitsForThePage(Linux2_6_29):
    """fork waits until nobody refers to a page but its PTEs."""

    def copy_present_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int
    ) -> Op[None]:
        pte = src.pte(base).peek()
        assert isinstance(pte, Pte)
        page = self.mech.page_of(pte)
        yield Step("copy_one_pte", "held ?", lambda: page.refcount.peek() == page.mapcount.peek())
        yield from super().copy_present_pte(cpu, src, dst, vma, base)


@pytest.mark.parametrize(
    ("scenario", "policy", "verdicts"),
    [
        ("ro-longterm-pin", GupDoesNotForce, {STALE}),
        ("ro-longterm-pin", PigginGupDoesNotDecow, {STALE}),
        ("ro-longterm-pin", FollowPageDoesNotDecow, {STALE}),
        ("ro-longterm-pin", PinsDoNotUnshare, {STALE}),
        ("ro-pin-zero-page", GupDoesNotForce, {STALE}),
        ("ro-pin-zero-page", PigginGupDoesNotDecow, {STALE}),
        ("ro-pin-zero-page", TheZeroPageIsNotUnshared, {STALE}),
        ("ro-vma-odirect-write", NobodyRemembersTheBreak, {"livelock"}),
        ("ro-vma-odirect-write", PigginForgetsTheBreak, {"livelock"}),
        ("vmsplice-child-leak", GupDoesNotForce, {LEAK}),
        ("vmsplice-child-leak", PigginGupDoesNotDecow, {LEAK}),
        ("vmsplice-child-leak", FollowPageDoesNotDecow, {LEAK}),
        ("vmsplice-child-leak", WriteFaultAsksMapcount, {LEAK}),
        ("vmsplice-then-fork", WriteFaultAsksMapcount, {LEAK}),
        ("vmsplice-then-fork", ForkIgnoresTheCount, {LEAK}),
        ("vmsplice-self-drain", ForkWaitsForThePage, {"deadlock"}),
    ],
)
def test_without_a_rule_it_shows(
    scenario: str, policy: type[PolicyHooks], verdicts: set[str]
) -> None:
    told = SCENARIOS[scenario]
    assert simulate(told, policy()).kinds == verdicts
    assert simulate(told, policy.__bases__[0]()).kinds == set()


def _keep_and_read(stage: Stage) -> Script:
    pipe = yield DirectWrite(stage.buf, PAGE_SIZE, api="vmsplice")
    yield Complete(pipe)


def test_a_child_that_keeps_the_page_mapped_learns_no_secret() -> None:
    """Ground truth, cases c5 and c6: with the child's PTE the parent's store copies."""
    told = SCENARIOS["vmsplice-child-leak"]
    kept = replace(told, children={"child": _keep_and_read}, order="fork child cpu child")
    assert simulate(told, "linux-4.19").seen == (("child", b"S" + b"I" * (PAGE_SIZE - 1)),)
    assert simulate(kept, "linux-4.19").seen == (("child", b"I" * PAGE_SIZE),)
    assert simulate(kept, "linux-4.19").kinds == set()


def _as_rdma(stage: Stage) -> Script:
    memory = yield Register(stage.buf, PAGE_SIZE, writable=False, api="rdma")
    yield DeviceLoads(memory, 0, PAGE_SIZE)
    yield Release(memory)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("scenario", ["ro-longterm-pin", "ro-pin-zero-page"])
def test_who_asks_to_write_what_he_only_reads_never_goes_stale(scenario: str, policy: str) -> None:
    """FOLL_FORCE | FOLL_WRITE, VFIO's remedy and RDMA's habit: J. Gunthorpe, document 000."""
    told = SCENARIOS[scenario]
    remedied = replace(told, threads={**told.threads, "io": _as_rdma})
    assert STALE not in simulate(remedied, policy).kinds


# Remedies ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "advice", "policy", "verdicts"),
    [
        ("dontfork", MADV_DONTFORK, "linux-2.6.29", {LOST, SEEN}),
        ("dontfork-collateral", MADV_DONTFORK, "linux-2.6.29", {LOST, SEEN}),
        ("wipeonfork", MADV_WIPEONFORK, "linux-4.19", {LOST, SEEN}),
    ],
)
def test_advice_that_is_not_followed_shows(
    scenario: str, advice: int, policy: str, verdicts: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = SCENARIOS[scenario]
    assert simulate(told, policy).kinds == set()
    monkeypatch.setitem(FORK_ADVICE, advice, (0, 0))
    assert simulate(told, policy).kinds == verdicts


def test_where_dofork_is_forgotten_the_child_has_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = SCENARIOS["dofork-again"]
    assert simulate(told, "linux-2.6.29").kinds == {LOST, SEEN}
    monkeypatch.setitem(FORK_ADVICE, MADV_DOFORK, (0, 0))
    with pytest.raises(Fault, match="a store"):
        simulate(told, "linux-2.6.29")


@pytest.mark.parametrize("policy", ["linux-2.6.29", "linux-5.9", "linux-6.5"])
def test_the_collateral_is_the_childs_half_and_no_other_page(policy: str) -> None:
    verdict = simulate(SCENARIOS["dontfork-collateral"], policy)
    assert verdict.seen == (("child", None), ("child", b"I"))


@pytest.mark.parametrize("policy", ["linux-4.19", "linux-5.9", "linux-6.5"])
def test_a_child_finds_wiped_memory_empty(policy: str) -> None:
    assert simulate(SCENARIOS["wipeonfork"], policy).seen == (("child", b"\0" * SECTOR),)


@pytest.mark.parametrize("scenario", ["vfork-exec", "posix-spawn"])
def test_with_fork_in_its_place_the_read_is_lost(scenario: str) -> None:
    told = SCENARIOS[scenario]
    threads = {**told.threads, "fork": lost_read.fork}
    forked = replace(told, threads=threads, children={}, order="io fork cpu io")
    assert simulate(told, "linux-2.6.29").kinds == set()
    assert simulate(forked, "linux-2.6.29").kinds == {LOST, SEEN}
