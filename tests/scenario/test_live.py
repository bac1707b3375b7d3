"""The same text on real processes: what every action does there.

The scenarios themselves are compared in ``tests/policy/test_matrix.py``.
"""

from __future__ import annotations

import pytest

from tests.common import made_up
from uemu.abi import MADV_DONTFORK, PAGE_SIZE, PROT_READ
from uemu.errors import Fault
from uemu.scenario.actions import (
    Complete,
    DeviceLoads,
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
from uemu.scenario.script import Script, Stage
from uemu.scenario.simulate import simulate

pytestmark = pytest.mark.needs_ptrace


def everything(stage: Stage) -> Script:
    """Every action once, and what a program may not do."""
    memory = yield Register(stage.buf, PAGE_SIZE, True, "rdma")
    yield DeviceStores(memory, 3, b"abc")
    yield DeviceLoads(memory, 2, 5)
    yield Release(memory)
    yield Madvise(stage.buf, PAGE_SIZE, MADV_DONTFORK)
    yield Fork("child")
    yield Load(stage.buf + 2, 5)
    other = yield Mmap(PAGE_SIZE)
    yield Store(other, b"x")
    yield Mprotect(other, PAGE_SIZE, PROT_READ)
    with pytest.raises(Fault):
        yield DirectRead(other, 512)
    yield Load(other, 1)
    yield Munmap(other, PAGE_SIZE)
    read = yield DirectRead(stage.buf, 512)
    yield Complete(read, b"D" * 512)
    write = yield DirectWrite(stage.buf + 510, 4, api="vmsplice")
    yield Complete(write)
    yield Signal("done")


def child(stage: Stage) -> Script:
    """The second page is there, and then the process is not."""
    yield WaitFor("done")
    yield Store(stage.buf + PAGE_SIZE, b"C")
    yield Load(stage.buf + PAGE_SIZE, 2)
    yield Exit()


EVERYTHING = made_up("cpu " * 17 + "child child child", cpu=everything, child=child)


@pytest.mark.parametrize("policy", ["linux-2.6.29", "linux-6.5"])
def test_every_action_does_what_it_does_simulated(policy: str) -> None:
    live, simulated = run_live(EVERYTHING, policy), simulate(EVERYTHING, policy)
    assert live.seen == simulated.seen
    assert live.kinds == simulated.kinds == frozenset()
    assert [data for _, data in live.seen] == [b"IabcI", b"IabcI", b"x", b"DDII", b"CI"]


def test_a_livelock_ends_a_live_run_too() -> None:
    def io(stage: Stage) -> Script:
        yield Mprotect(stage.buf, PAGE_SIZE, PROT_READ)
        yield DirectWrite(stage.buf, 512)

    told = made_up("io io", io=io)
    live = run_live(told, "arcangeli-2009-v2")
    assert [str(violation) for violation in live.violations] == [
        "livelock: get_user_pages retried 1000 times at 0x100000000000"
    ]
    assert run_live(told, "linux-2.6.29").violations == ()
