"""Every claim comes out as expected, and otherwise as soon as its rule is taken away.

The second is the negative control: one policy or one scenario in place of
another, under which the claim must have another verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.claims.test_findings import HOW, document, parts
from uemu.claims.claim import CONFIRMED, REFUTED
from uemu.claims.findings import STORIES, section, story
from uemu.claims.question import Answer, Swap, never
from uemu.claims.registry import CLAIMS
from uemu.claims.survey import survey
from uemu.explore import Schedule, replay
from uemu.mm.lock_hooks import IoRequest
from uemu.mm.page import Page
from uemu.oracle.violations import KINDS
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.linux_4_19 import Linux4_19
from uemu.policy.registry import POLICIES
from uemu.scenario.actions import Fork, Signal, WaitFor
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Script, Stage
from uemu.step import Cpu, Op

pytestmark = pytest.mark.slow

V1, V2 = "arcangeli-2009-v1", "arcangeli-2009-v2"
PIGGIN = "piggin-2009-page"
DIRECTED = "torvalds-2009-directed-cow"
COUNTS = "torvalds-2009-page-count"
LOOKS_TWICE = "kosaki-2009-dont-unmap"
HUBBARD, KARA = "hubbard-2021-locked-pages", "kara-2021-unmap-if-not-pinned"
VMA = "piggin-2009-vma"
MMAP_SEM = "torvalds-2009-mmap-sem"
DIRECT_IO_CALL = f"{MMAP_SEM}:direct-io-call"
FORK_LOCK = "torvalds-2009-fork-lock"
KOSAKI_V1, KOSAKI_V2 = "kosaki-2009-directio-sem", "kosaki-2009-pinned-sem"

CONTROLS = {
    "C01": (Swap("linux-2.6.29", V2), REFUTED),
    "C02": (Swap("linux-2.6.29", V2), REFUTED),
    "C03": (Swap("linux-2.6.29", DIRECTED), REFUTED),
    "C04": (Swap(f"{V1}:norecheck", V1), REFUTED),
    "C05": (Swap(V1, f"{V1}:norecheck"), REFUTED),
    "C06": (Swap(DIRECTED, V2), CONFIRMED),
    "C07": (Swap(DIRECTED, V2), REFUTED),
    "C08": (Swap(DIRECT_IO_CALL, MMAP_SEM), REFUTED),
    "C09": (Swap(MMAP_SEM, "linux-2.6.29"), REFUTED),
    "C10": (Swap(PIGGIN, V1), REFUTED),
    "C11": (Swap(VMA, PIGGIN), REFUTED),
    "C12": (Swap(VMA, V1), REFUTED),
    "C13": (Swap(PIGGIN, V1), CONFIRMED),
    "C14": (Swap(KOSAKI_V1, KOSAKI_V2), REFUTED),
    "C15": (Swap(KOSAKI_V1, KOSAKI_V2), REFUTED),
    "C16": (Swap(COUNTS, "linux-2.6.29"), REFUTED),
    "C17": (Swap(COUNTS, "linux-2.6.29"), REFUTED),
    "C18": (Swap(f"{COUNTS}:no-swapcache-fixed", "linux-2.6.7"), CONFIRMED),
    "C19": (Swap(f"{COUNTS}:no-swapcache-fixed", f"{COUNTS}:no-swapcache"), REFUTED),
    "C20": (Swap("linux-2.6.7", COUNTS), REFUTED),
    "C21": (Swap(KOSAKI_V2, KOSAKI_V1), REFUTED),
    "C22": (Swap(FORK_LOCK, "linux-6.5"), REFUTED),
    "C23": (Swap("vfork-exec", "lost-read"), REFUTED),
    "C24": (Swap("dontfork", "lost-read"), REFUTED),
    "C25": (Swap("lost-read-aligned", "lost-read"), REFUTED),
    "C26": (Swap(f"{LOOKS_TWICE}:one-check", LOOKS_TWICE), REFUTED),
    "C27": (Swap(f"{HUBBARD}:fixed", "linux-6.5"), CONFIRMED),
    "C28": (Swap(KARA, "linux-5.11"), REFUTED),
    "C29": (Swap("linux-5.11:clear-refs-seq", "linux-5.11"), REFUTED),
    "C30": (Swap("linux-5.9", "linux-2.6.29"), REFUTED),
    "C31": (Swap("linux-5.11", "linux-5.19"), REFUTED),
    "C32": (Swap("hildenbrand-2021-model2", "hildenbrand-2021-model1"), REFUTED),
    "C33": (Swap("linux-6.5", "linux-5.19"), REFUTED),
    "C34": (Swap("linux-5.19:hugetlb-no-seq", "linux-5.19"), REFUTED),
    "C35": (Swap("linux-2.6.29", COUNTS), REFUTED),
    "C36": (Swap(DIRECTED, V2), REFUTED),
    "C37": (Swap("linux-2.6.29", "ends-clean"), CONFIRMED),
    "C38": (Swap("linux-2.6.29", "reuses-what-is-written"), CONFIRMED),
    "C39": (Swap("lost-read", "mprotect-toggle-while-pinned"), REFUTED),
    "C40": (Swap("linux-4.19", "merges-held"), REFUTED),
    "C41": (Swap(PIGGIN, f"{V1}:norecheck"), CONFIRMED),
    "C42": (Swap(DIRECT_IO_CALL, MMAP_SEM), REFUTED),
    "C43": (Swap(FORK_LOCK, "linux-6.5"), CONFIRMED),
    "C44": (Swap(V2, PIGGIN), REFUTED),
    "C45": (Swap("fork-mid-update", "fork-after-update"), REFUTED),
    "C46": (Swap(KOSAKI_V2, KOSAKI_V1), CONFIRMED),
    "C47": (Swap(LOOKS_TWICE, "linux-2.6.29"), REFUTED),
    "C48": (Swap("linux-5.11", "linux-6.5"), REFUTED),
    "C49": (Swap("hildenbrand-2021-model1", "hildenbrand-2021-model2"), REFUTED),
}


def _cpu_then_signal(stage: Stage) -> Script:
    yield from SCENARIOS["fork-mid-update"].threads["cpu"](stage)
    yield Signal("updated")


def _fork_after(stage: Stage) -> Script:
    yield WaitFor("updated")
    yield Fork("child")


class EndsClean(Linux2_6_29):
    """2.6.29 whose direct I/O does not set the pages dirty that it read into."""

    name = "ends-clean"
    were: Sequence[tuple[Page, bool]] = ()

    def io_pages_done(self, cpu: Cpu, request: IoRequest, pages: Sequence[Page]) -> None:
        """Know what is dirty before set_page_dirty()."""
        self.were = [(page, page.dirty.peek()) for page in pages]

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        """Take set_page_dirty() back, in the same step."""
        for page, was in self.were:
            cpu.write(page.dirty, was)


class WaitsForWriteback(Linux2_6_29):
    """2.6.29 that reuses no page that it cannot take out of the swap cache."""

    name = "reuses-what-is-written"

    def reuse_swap_page(self, cpu: Cpu, page: Page) -> bool:
        """Nor what is under writeback."""
        return super().reuse_swap_page(cpu, page) and cpu.read(page.swap) is None


class MergesHeld(Linux4_19):
    """4.19 whose KSM does not compare the counts."""

    name = "merges-held"

    def ksm_finds_held(self, cpu: Cpu, page: Page) -> Op[bool]:
        """Whoever holds it."""
        return False
        yield  # pragma: no cover


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels without a rule, and a program that takes a lock."""
    for policy in (EndsClean, WaitsForWriteback, MergesHeld):
        monkeypatch.setitem(POLICIES, policy.name, policy)
    ordered = replace(
        SCENARIOS["fork-mid-update"],
        name="fork-after-update",
        threads={"fork": _fork_after, "cpu": _cpu_then_signal},
    )
    monkeypatch.setitem(SCENARIOS, "fork-after-update", ordered)


def test_every_claim_has_a_control_that_changes_its_verdict() -> None:
    assert CONTROLS.keys() == CLAIMS.keys()
    for id_, (_, verdict) in CONTROLS.items():
        assert verdict != CLAIMS[id_].expected


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("id_", CONTROLS)
def test_the_control_of_a_claim_comes_out_otherwise(id_: str) -> None:
    swap, verdict = CONTROLS[id_]
    claim = CLAIMS[id_]
    if not claim.open:
        claim = replace(claim, readings=claim.readings[:1])
    other = claim.instead(swap)
    if verdict == REFUTED and claim.expected == CONFIRMED and not claim.open:
        # One question of its reading is enough, and those of before hold.
        new = [each for each in other.questions if each not in claim.questions]
        assert any(not each.ask().holds for each in new)
    else:
        (found,) = survey([other])
        assert found.verdict == verdict, found.why


@pytest.mark.usefixtures("made_up")
def test_who_ends_clean_loses_nothing_where_a_flush_waits() -> None:
    """What C37 says beside its verdict: what is held is dirty already."""
    answer = never("dirty-lost", "swap-out-while-pinned", EndsClean.name).ask()
    assert answer.holds
    assert answer.exhaustive


READINGS = {
    "C01": (True, False),
    "C03": (True, False),
    "C04": (True, False),
    "C05": (True, True, False),
    "C06": (False, True),
    "C09": (True, False),
    "C12": (True, False),
    "C13": (False, True),
    "C14": (True, False),
    "C16": (True, False, True),
    "C17": (True, False),
    "C18": (False, True),
    "C20": (True, False),
    "C22": (True, False),
    "C23": (True, True, False),
    "C24": (True, False, False),
    "C25": (True, False),
    "C30": (True, False),
    "C32": (True, False),
    "C33": (True, True, False),
    "C35": (True, False),
    "C38": (False, True, True),
    "C39": (True, False),
    "C42": (True, False),
    "C43": (True, False),
    "C46": (False, True),
    "C47": (True, False, True, False),
    "C49": (True, False),
}
"""Which readings hold, where not all come out alike."""


@pytest.mark.parametrize("id_", CLAIMS)
def test_a_claim_comes_out_as_expected(id_: str) -> None:
    (found,) = survey([CLAIMS[id_]])
    assert found.is_expected, found.why
    alike = (found.verdict == CONFIRMED,) * len(found.held)
    assert found.held == READINGS.get(id_, alike)
    for answers in found.answers:
        for answer in answers:
            _check_replay(answer)
    stories, sections = parts(document())
    assert sections.get(id_) == section(found), HOW.format(id=id_)
    assert id_ not in STORIES or stories[id_] == story(found), HOW.format(id=id_)


def _check_replay(answer: Answer) -> None:
    """What was found is there again in the run that is told, as ``uemu replay`` makes it."""
    if answer.schedule is None:
        return
    where, schedule = answer.where, Schedule.parse(answer.schedule)
    assert str(replay(where, schedule).schedule) == answer.schedule
    plain = replace(where, watch="", past="")
    verdicts = replay(plain, schedule).verdicts
    violations = set(answer.asked) & KINDS.keys()
    if violations and not where.past:
        assert violations & verdicts
