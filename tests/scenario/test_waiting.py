"""Actions that a policy makes wait: parked, looked at again, the same told either way.

Each is run on the simulated MMU and on real processes, and the two are compared.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.common import made_up
from uemu.abi import MADV_DONTFORK, PAGE_SIZE, PROT_READ
from uemu.errors import Fault
from uemu.mm.hooks import GupCall, PolicyHooks
from uemu.mm.lock_hooks import IoRequest
from uemu.mm.locks import FairRwSem
from uemu.mm.mm_struct import MmStruct
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.scenario.actions import (
    Complete,
    DeviceStores,
    DirectRead,
    DirectWrite,
    Exit,
    Fork,
    Load,
    Madvise,
    Mmap,
    Mprotect,
    Munmap,
    Register,
    Release,
    Signal,
    Store,
    WaitFor,
)
from uemu.scenario.live import run_live
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.simulate import simulate
from uemu.scenario.verdict import Verdict
from uemu.step import Cpu, Op, Step

pytestmark = pytest.mark.needs_ptrace


class MmapSemOverIo(Linux2_6_29):
    """Whoever has I/O in flight holds mmap_sem for reading."""

    makes_wait = True
    mmap_lock_type = FairRwSem

    def gup_kind(self, api: str, *, write: bool) -> GupCall:
        call = super().gup_kind(api, write=write)
        return GupCall(call.foll, call.fast, locked=True)

    def io_begin(self, cpu: Cpu, request: IoRequest) -> Op[None]:
        yield request.mm.mmap_lock.read_step("direct_IO", "mmap_sem for reading")
        request.mm.mmap_lock.down_read(cpu)

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        request.mm.mmap_lock.up_read(cpu)


class EveryStoreFaultWaits(Linux2_6_29):
    """A write fault waits until no device holds any page of that mm."""

    def fault_begin(self, cpu: Cpu, mm: MmStruct, addr: int, *, write: bool) -> Op[None]:
        ios = mm.extra("ios")
        yield Step("wait_for_io", "no I/O in flight", lambda: not write or ios.peek() == 0)
        cpu.read(ios)

    def io_begin(self, cpu: Cpu, request: IoRequest) -> Op[None]:
        yield Step("io_begin")
        cpu.add(request.mm.extra("ios"), 1)

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        cpu.add(request.mm.extra("ios"), -1)


def both(told: Scenario, policy: Callable[[], PolicyHooks]) -> Verdict:
    """The verdict, which is the same on the simulated MMU and on real processes."""
    live, simulated = run_live(told, policy()), simulate(told, policy())
    assert live.seen == simulated.seen
    assert [str(each) for each in live.violations] == [str(each) for each in simulated.violations]
    return live


def messages(verdict: Verdict) -> list[str]:
    return [violation.message for violation in verdict.violations]


def io(stage: Stage) -> Script:
    read = yield DirectRead(stage.buf + 512, 512)
    yield Complete(read, b"D" * 512)


def fork(stage: Stage) -> Script:
    yield Fork("child")


def cpu(stage: Stage) -> Script:
    yield Store(stage.buf, b"P")


def look(stage: Stage) -> Script:
    yield Load(stage.buf, 1)
    yield Load(stage.buf + 512, 1)


SHOWN_LIVE = [
    name
    for name, scenario in SCENARIOS.items()
    if scenario.not_live is None and scenario.not_applicable(Linux2_6_29()) is None
]


@pytest.mark.parametrize("policy", [MmapSemOverIo, EveryStoreFaultWaits])
@pytest.mark.parametrize("name", SHOWN_LIVE)
def test_every_scenario_is_told_alike(name: str, policy: type[PolicyHooks]) -> None:
    both(SCENARIOS[name], policy)


def test_a_fork_that_waits_goes_on_when_the_io_is_over() -> None:
    verdict = both(made_up("io fork io", io=io, fork=fork), MmapSemOverIo)
    assert messages(verdict) == ["dup_mmap waited for I/O: mmap_sem for writing"]


def test_a_fork_whose_io_nobody_completes_waits_for_ever() -> None:
    def never(stage: Stage) -> Script:
        yield DirectRead(stage.buf, 512)

    verdict = both(made_up("io fork", io=never, fork=fork), MmapSemOverIo)
    assert verdict.kinds == {"deadlock"}
    assert messages(verdict) == ["fork waits for ever in dup_mmap: mmap_sem for writing"]


def test_a_child_has_its_turns_when_its_fork_is_through() -> None:
    verdict = both(made_up("io fork child child io", io=io, fork=fork, child=look), MmapSemOverIo)
    assert verdict.seen == (("child", b"I"), ("child", b"D"))


def test_a_store_waits_in_its_fault() -> None:
    def writes(stage: Stage) -> Script:
        write = yield DirectWrite(stage.buf, 512)
        yield Complete(write)

    told = made_up("fork io cpu reader reader io", fork=fork, io=writes, cpu=cpu, reader=look)
    verdict = both(told, EveryStoreFaultWaits)
    assert messages(verdict) == ["wait_for_io waited for I/O: no I/O in flight"]
    assert [data and data[:1] for _, data in verdict.seen] == [b"I", b"I", b"I"]


def test_whoever_asks_for_the_lock_behind_a_fork_waits_too() -> None:
    def changes(stage: Stage) -> Script:
        yield Mprotect(stage.buf, PAGE_SIZE, PROT_READ)
        yield Munmap(stage.buf + PAGE_SIZE, PAGE_SIZE)

    def registers(stage: Stage) -> Script:
        memory = yield Register(stage.buf, 512, writable=False, api="vfio")
        yield Release(memory)

    told = made_up("io fork dma mm mm io dma", io=io, fork=fork, dma=registers, mm=changes)
    assert [text.partition(" ")[0] for text in messages(both(told, MmapSemOverIo))] == [
        "dup_mmap",
        "sys_mprotect",
        "direct_IO",
        "do_munmap",
    ]


@pytest.mark.parametrize(
    "action",
    [
        lambda buf: Mmap(PAGE_SIZE),
        lambda buf: Madvise(buf, PAGE_SIZE, MADV_DONTFORK),
        lambda buf: Mprotect(buf, PAGE_SIZE, PROT_READ),
        lambda buf: Munmap(buf, PAGE_SIZE),
    ],
    ids=["mmap", "madvise", "mprotect", "munmap"],
)
def test_whoever_writes_mmap_sem_waits_for_io(action: Callable[[int], object]) -> None:
    def mm(stage: Stage) -> Script:
        yield action(stage.buf + PAGE_SIZE)  # type: ignore[misc]
        yield Load(stage.buf + 512, 1)

    verdict = both(made_up("io mm mm io", io=io, mm=mm), MmapSemOverIo)
    assert verdict.kinds == {"fork-blocked"}
    assert verdict.seen == (("mm", b"D"),)


def test_an_io_that_was_refused_holds_up_nobody() -> None:
    def refused(stage: Stage) -> Script:
        with pytest.raises(Fault):
            yield DirectRead(stage.buf + 64 * PAGE_SIZE, 512)

    verdict = both(made_up("io fork", io=refused, fork=fork), MmapSemOverIo)
    assert verdict.kinds == frozenset()


def test_a_child_that_is_gone_holds_up_nobody() -> None:
    def leaves(stage: Stage) -> Script:
        yield DirectRead(stage.buf, 512)
        yield Exit()

    both(made_up("fork child child cpu", fork=fork, cpu=cpu, child=leaves), MmapSemOverIo)


def test_a_wait_for_a_signal_that_nobody_gives_is_a_deadlock() -> None:
    def waits(stage: Stage) -> Script:
        yield WaitFor("godot")

    def signals(stage: Stage) -> Script:
        yield Signal("estragon")
        yield Store(stage.buf, b"x")

    verdict = both(made_up("cpu other", cpu=waits, other=signals), Linux2_6_29)
    assert messages(verdict) == ["cpu waits for ever in wait_for: godot"]


def test_a_turn_whose_signal_comes_later_is_taken_later() -> None:
    def waits(stage: Stage) -> Script:
        yield WaitFor("written")
        yield DeviceStores(stage.ios["memory"], 0, b"2")
        yield Release(stage.ios["memory"])

    def first(stage: Stage) -> Script:
        stage.ios["memory"] = yield Register(stage.buf, 512, writable=True, api="rdma")
        yield Store(stage.buf, b"1")
        yield Signal("written")
        yield Load(stage.buf, 1)

    verdict = both(made_up("b a a b a", a=first, b=waits), Linux2_6_29)
    assert verdict.seen == (("a", b"2"),)


@pytest.mark.parametrize(
    ("order", "refusal"),
    [
        ("cpu cpu", "has 'cpu' once too often"),
        ("child cpu", "has 'child' before it is there"),
        ("fork", "leaves cpu, child unfinished"),
    ],
)
def test_an_order_that_does_not_fit_is_refused(order: str, refusal: str) -> None:
    told = made_up(order, cpu=cpu, fork=fork, child=look)
    for run in (run_live, simulate):
        with pytest.raises(ValueError, match=refusal):
            run(told, Linux2_6_29())
