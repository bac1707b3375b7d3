"""``uemu replay --live``: the same verdict on real processes, or a loud complaint."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Uemu
from tests.common import exists
from tests.live.processes import own_resources, state
from uemu.cli import live_replay
from uemu.cli.live_replay import bytes_in_brief, replay_live
from uemu.cli.names import WorldMaker
from uemu.errors import Disagreement, HostError
from uemu.explore import Execution, Schedule, Uniform, explore, replay, shrink
from uemu.host import native
from uemu.host.memfd import MemfdFrames
from uemu.live.stepped import cpus, hardware
from uemu.scenario.actions import Complete
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.world import SimulatedWorld, SteppedWorld

pytestmark = pytest.mark.needs_ptrace

LOST = "lost-dma-write"
SEEN = "dma-write-seen-by-other"
NORECHECK = "arcangeli-2009-v2:norecheck"

RACE = ("gup-fast-vs-fork", "uemu1:00011101111111100")
"""L. Torvalds, 2009-03-11 19:01, document 003."""

AS_FAR_AS_BOTH_GO = ("gup-fast-vs-fork", "uemu1:0001110")
"""The page is looked up, write-protected, tested, marked; then io goes on."""


# Every scenario under every kernel


def schedules(maker: WorldMaker) -> list[Schedule]:
    """Violating schedules, shrunk; or else each task to its end in turn; one drawn at random.

    One preemption shows most of them, but not that fork tears a page.
    """
    if maker.scenario.name.endswith("-tearing"):
        races = explore(maker, max_schedules=150).verdicts
    else:
        races = explore(maker, max_preemptions=1, max_schedules=60).verdicts
    short = [shrink(maker, run, kind, max_executions=20).schedule for kind, run in races.items()]
    pick = Uniform(seed=17).begin(0)
    drawn = Execution(maker).run(lambda _, runnable: pick(runnable)).schedule
    return [*(short or [replay(maker, []).schedule]), drawn]


def agreed(maker: WorldMaker) -> set[str]:
    """Replay them live; the verdicts that were shown both ways."""
    shown: set[str] = set()
    for schedule in schedules(maker):
        verdicts = replay_live(maker, schedule).run.verdicts
        assert verdicts == replay(maker, schedule).verdicts
        shown |= verdicts
    return shown


STEPPED = (
    NORECHECK,
    "linux-2.4-dio-pglock",
    "linux-2.6.29",
    "arcangeli-2009-v2",
    "torvalds-2009-fork-lock",
    "torvalds-2009-directed-cow",
    "linux-5.9",
    "linux-6.5",
)
"""One for each way to treat a page table: shared, copied, waited for, another's, unshared.

The canonical order is compared under all of them in ``tests/policy/test_matrix.py``.
"""

ALWAYS_SAFE = (
    "dontfork",
    "ro-vma-odirect-write",
    "vmsplice-self-drain",
    "wipeonfork",
    "dontfork-collateral",
    "vfork-exec",
    "posix-spawn",
    "snapshot-writeout-cost",
    "big-vma-cost",
    "fork-mid-update",
    "big-read-cost",
    "fork-then-direct-read",
    "map-shared",
    "fork-copy-tearing",
    "hugetlb-read-cost",
    "hugetlb-reverse-race",
    "hugetlb-tearing",
    "hugetlb-vmsplice-child-leak",
    "mprotect-toggle-while-pinned",
    "swap-out-while-pinned",
    "swapcache-false-cow",
    "pin-vs-reclaim",
    "ro-pin-swapped-in",
    "secondary-mmu-reclaim",
    "secondary-mmu-no-pin",
    "reclaim-vs-gup-fast",
    "clean-swapcache-dirty",
    "migration-while-pinned",
)

SAFE_NOWHERE_BUT_NOW = (
    "ro-pin-zero-page",
    "ro-vma-odirect-write",
    "mprotect-fork",
    "swapped-out-pinned-then-fork",
)
"""Where arcangeli-2009-v2 has no answer, or a worse one."""


def turn(number: int) -> list[str]:
    """The policies of one scenario: those that say what to find, and of the others some in turn."""
    named = ("linux-2.6.29", "arcangeli-2009-v2", "linux-6.5")
    others = [policy for policy in STEPPED if policy not in named]
    return [*named, *others[number % 3 :: 3]]


@pytest.mark.once
@pytest.mark.parametrize(
    ("scenario", "policy"),
    [(name, policy) for number, name in enumerate(SCENARIOS) for policy in turn(number)
     if exists(name, policy)],
)  # fmt: skip
def test_real_processes_do_what_was_simulated(scenario: str, policy: str) -> None:
    shown = agreed(WorldMaker(SCENARIOS[scenario], policy))
    if policy == "linux-2.6.29":
        assert bool(shown) == (scenario not in ALWAYS_SAFE)
    if policy == "arcangeli-2009-v2":
        assert bool(shown) == (scenario in SAFE_NOWHERE_BUT_NOW)
    if policy == "linux-6.5":
        torn = {"torn-fork-copy"} if scenario.endswith("-tearing") else set()
        leaked = {"secret-leak"} if scenario == "hugetlb-vmsplice-child-leak" else set()
        assert shown == torn | leaked


@pytest.mark.parametrize("options", [(False, "sc"), (True, "tso"), (False, "tso")])
@pytest.mark.parametrize("policy", ["arcangeli-2009-v2", "linux-6.5"])
def test_so_they_do_without_waiting_ipis_and_with_store_buffers(
    policy: str, options: tuple[bool, str]
) -> None:
    agreed(WorldMaker(SCENARIOS["gup-fast-vs-fork"], policy, *options))


# The race of 2009


def test_the_race_torvalds_drew_happens_to_real_processes(uemu: Uemu) -> None:
    done = uemu("replay", RACE[0], "--policy", NORECHECK, RACE[1], "--live")
    assert (done.status, done.err) == (1, "")
    lines = done.out.splitlines()
    assert lines[0] == f"On real processes, step by step: {LOST}, {SEEN}, as simulated."
    pids = [int(pid) for pid in re.findall(r"^  \w+ +pid (\d+): (?:the CPU|looks)", done.out, re.M)]
    assert len(set(pids)) == 4
    assert [state(pid) for pid in pids] == [None] * 4
    seen = done.out[done.out.index("What each sees in the end, loaded by it:") :].splitlines()
    assert re.fullmatch(rf"  parent  pid {pids[0]}: 0x\w+000  P, 4095 x I  \(pfn 1\)", seen[1]), (
        "the read is lost"
    )
    assert re.fullmatch(
        rf"  child   pid {pids[3]}: 0x\w+000  3584 x I, 512 x D  \(pfn 0\)", seen[2]
    ), "the child has it"
    simulated = uemu("replay", RACE[0], "--policy", NORECHECK, RACE[1])
    assert done.out.endswith(simulated.out.rstrip("\n") + " --live\n")
    assert lines[-1].startswith("replay:  uemu replay gup-fast-vs-fork ")


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [(NORECHECK, {SEEN}), ("arcangeli-2009-v2", set()), ("linux-6.5", set())],
)
def test_with_the_recheck_the_same_schedule_does_no_harm(policy: str, verdicts: set[str]) -> None:
    maker = WorldMaker(SCENARIOS[AS_FAR_AS_BOTH_GO[0]], policy)
    live = replay_live(maker, Schedule.parse(AS_FAR_AS_BOTH_GO[1]))
    assert live.run.verdicts == verdicts
    child = [page.data for page in live.shown if page.mm == 1]
    assert [b"D" in data for data in child] == [bool(verdicts)]


def test_a_run_without_violation_exits_with_0(uemu: Uemu) -> None:
    done = uemu("replay", "dontfork", "--policy", "linux-2.6.29", "uemu1:", "--live")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("On real processes, step by step: no violation, as simulated.\n")
    assert "  parent  pid " in done.out
    assert done.out.splitlines()[-1].endswith(" --live")


def test_json_says_who_took_part_and_what_they_saw(uemu: Uemu, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    argv = [RACE[0], "--policy", NORECHECK, RACE[1], "--json", str(path)]
    uemu("replay", *argv)
    simulated = json.loads(path.read_text())
    assert uemu("replay", *argv, "--live").status == 1
    told = json.loads(path.read_text())
    live = told.pop("live")
    command = told["drawings"][0]
    assert command["replay"] == simulated["drawings"][0]["replay"] + " --live"
    assert live["verdicts"] == [LOST, SEEN]
    pids = [each["pid"] for each in live["processes"]]
    assert [(each["name"], each["cpu"]) for each in live["processes"]] == [
        ("parent", None), ("parent", "io"), ("parent", "fork"), ("child", None)
    ]  # fmt: skip
    assert [each["parent"] for each in live["processes"]] == [None, pids[0], pids[0], pids[2]]
    assert (live["stores"], live["loads"], live["traps"], live["stale"]) == (2, 0, 4, 0)
    assert [(page["pid"], page["pfn"], page["bytes"]) for page in live["seen"]] == [
        (pids[0], 1, "P, 4095 x I"), (pids[3], 0, "3584 x I, 512 x D")
    ]  # fmt: skip


def test_a_schedule_that_does_not_fit_is_refused_before_any_process_is_there(uemu: Uemu) -> None:
    before = own_resources()
    done = uemu("replay", RACE[0], "--policy", "arcangeli-2009-v2", RACE[1], "--live")
    assert (done.status, done.out) == (2, "")
    assert "step 7: task 1 (fork, waits in flush_tlb_others) cannot run" in done.err.replace(
        "\n  ", " "
    )
    assert own_resources() == before


# When they differ


def lose_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real frames are not copied."""
    monkeypatch.setattr(MemfdFrames, "copy", lambda *_: None)


def misdirect_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored at the start of a page goes to another frame."""
    real = SteppedWorld.perform

    def perform(self: SteppedWorld, task: Any, action: Any) -> Any:
        if isinstance(self, SimulatedWorld):
            return real(self, task, action)
        if getattr(action, "data", b"") == b"P":
            action = type(action)(action.addr + 4000, action.data)
        return real(self, task, action)

    monkeypatch.setattr(SteppedWorld, "perform", perform)


def lose_dma(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's bytes do not arrive."""
    monkeypatch.setattr(MemfdFrames, "write", lambda *_: None)


@pytest.mark.parametrize(
    ("mistake", "what"),
    [
        (lose_copies, "verdicts: ['dma-write-seen-by-other', 'lost-dma-write'] simulated, ["),
        (misdirect_stores, "violations: "),
        (lose_dma, "in the end: (1, '0x100000000000', 0, <3584 x I, 512 x D>) simulated, (1, "),
    ],
)
def test_a_difference_is_said_and_is_no_verdict(
    uemu: Uemu,
    monkeypatch: pytest.MonkeyPatch,
    mistake: Callable[[pytest.MonkeyPatch], None],
    what: str,
) -> None:
    before = own_resources()
    mistake(monkeypatch)
    done = uemu("replay", RACE[0], "--policy", NORECHECK, RACE[1], "--live")
    assert (done.status, done.out) == (70, "")
    said = done.err.replace("\n  ", " ")
    assert said.startswith(f"uemu: error: Disagreement: gup-fast-vs-fork under {NORECHECK}, uemu1:")
    assert what in said
    assert own_resources() == before


def test_a_live_world_that_takes_other_steps_is_a_disagreement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def with_ipi_wait(*args: Any, ipi_waits_for_gup_fast: bool, **options: Any) -> SteppedWorld:
        return SteppedWorld(*args, ipi_waits_for_gup_fast=not ipi_waits_for_gup_fast, **options)

    maker = WorldMaker(SCENARIOS["gup-fast-vs-fork"], "arcangeli-2009-v2", ipi_wait=False)
    schedule = explore(maker).verdicts[LOST].schedule
    monkeypatch.setattr(live_replay, "SteppedWorld", with_ipi_wait)
    with pytest.raises(Disagreement, match=r"on real processes step .* cannot run"):
        replay_live(maker, schedule)


# When this machine, or somebody on it, will not


def test_where_tracing_is_forbidden_it_says_why(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "ptrace_error", lambda: HostError("trace", "no", "Ask root."))
    done = uemu("replay", "dontfork", "--policy", "linux-6.5", "uemu1:", "--live")
    assert (done.status, done.out) == (3, "")
    assert done.err == "uemu: error: trace: no\n  remedy: Ask root.\n"
    assert uemu("replay", "dontfork", "--policy", "linux-6.5", "uemu1:").status == 0


def in_the_middle(monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> list[int]:
    """Do something before the device writes; the pids of all that are there by then."""
    pids: list[int] = []
    real = SteppedWorld.perform

    def perform(self: SteppedWorld, task: Any, action: Any) -> Any:
        if isinstance(action, Complete) and not isinstance(self, SimulatedWorld):
            live: Any = self._hardware
            pids.extend(each.pid for each in live.processes.took_part)
            then()
        return real(self, task, action)

    monkeypatch.setattr(SteppedWorld, "perform", perform)
    return pids


def test_a_process_that_somebody_kills_ends_the_replay_and_the_others(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = own_resources()
    pids = in_the_middle(monkeypatch, lambda: native.kill(pids[2]))
    done = uemu("replay", RACE[0], "--policy", NORECHECK, "uemu1:", "--live")
    assert (done.status, done.out) == (3, "")
    said = done.err.replace("\n  ", " ")
    assert re.search(rf"process {pids[2]} was killed by SIGKILL during (a TLB|an earlier)", said)
    assert [state(pid) for pid in pids] == [None] * 3
    assert own_resources() == before


def test_ctrl_c_leaves_no_process(uemu: Uemu, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    before = own_resources()
    pids = in_the_middle(monkeypatch, interrupt)
    done = uemu("replay", RACE[0], "--policy", NORECHECK, "uemu1:", "--live")
    assert (done.status, done.out) == (130, "")
    assert len(pids) == 3
    assert [state(pid) for pid in pids] == [None] * 3
    assert own_resources() == before


# Telling


@pytest.mark.parametrize(
    ("data", "brief"),
    [
        (b"", ""),
        (b"P", "P"),
        (b"PII", "P, 2 x I"),
        (b"\0\0\0 ", r"3 x \x00, \x20"),
        (b"abcdefgg", "a, b, c, d, e, f, ..."),
    ],
)
def test_bytes_in_a_few_words(data: bytes, brief: str) -> None:
    assert bytes_in_brief(data) == brief


def test_what_was_counted_is_what_instructions_did() -> None:
    maker = WorldMaker(SCENARIOS[RACE[0]], NORECHECK)
    live = replay_live(maker, Schedule.parse(RACE[1]))
    # The setup's store and the parent's, each after a page fault and a miss.
    assert live.tally == cpus.Tally(stores=2, loads=0, looks=3, traps=4, stale=0)
