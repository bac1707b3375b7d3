"""clear_refs: entries lose their write bit, and what the next store makes of it."""

from __future__ import annotations

import pytest

from tests.common import made_up, one_page
from uemu.abi import PAGE_SIZE
from uemu.errors import Fault
from uemu.explore import explore
from uemu.policy.linux_5_11 import Linux5_11
from uemu.scenario.actions import (
    ClearRefs,
    Complete,
    DeviceStores,
    DirectRead,
    Register,
    Release,
    Store,
)
from uemu.scenario.script import LAST_SECTOR, SECTOR, Script, Stage
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld
from uemu.step import run

LOST = {"lost-dma-write"}


def _o_direct(stage: Stage) -> Script:
    read = yield DirectRead(stage.buf + LAST_SECTOR, SECTOR)
    yield Complete(read, b"D" * SECTOR)


def _rdma(stage: Stage) -> Script:
    memory = yield Register(stage.buf, PAGE_SIZE, True, "rdma")
    yield DeviceStores(memory, LAST_SECTOR, b"D" * SECTOR)
    yield Release(memory)


def _clear(stage: Stage) -> Script:
    yield ClearRefs()
    yield Store(stage.buf, b"P")


# Ground truth, case a4: 4.19.13, 5.10.223 (what linux-5.11 stands for), 6.1.176, 6.18.44.
@pytest.mark.parametrize(
    ("policy", "get", "pin"),
    [
        ("linux-4.19", set(), set()),
        ("linux-5.8", set(), set()),
        ("linux-5.9", LOST, LOST),
        ("linux-5.11", LOST, set()),
        ("linux-5.19", set(), set()),
        ("linux-6.5", set(), set()),
    ],
)
def test_what_a_store_after_it_makes_of_a_held_page(
    policy: str, get: set[str], pin: set[str]
) -> None:
    assert simulate(made_up("io cpu cpu io", io=_o_direct, cpu=_clear), policy).kinds == get
    assert simulate(made_up("io cpu cpu io io", io=_rdma, cpu=_clear), policy).kinds == pin


class SkipsNothing(Linux5_11):
    """As if 9348b73c2e1b had not been."""

    def clear_refs_skips(self, *args: object) -> bool:
        return False


def test_a_kernel_that_skips_no_pin_loses_it() -> None:
    scenario = made_up("io cpu cpu io io", io=_rdma, cpu=_clear)
    assert simulate(scenario, SkipsNothing()).kinds == LOST


def test_without_the_seqcount_a_pin_may_come_behind_the_look() -> None:
    scenario = made_up("io cpu cpu io io", io=_rdma, cpu=_clear)
    result = explore(lambda: SimulatedWorld(scenario, "linux-5.11"), wanted="lost-dma-write")
    assert "lost-dma-write" in result.verdicts


def test_every_entry_loses_its_write_bit_and_nothing_else() -> None:
    world, parent, buf = one_page("linux-4.19")
    assert parent.pte(buf).write
    run(world.kernel.clear_refs(parent.cpu, parent.mm))
    assert not parent.pte(buf).write
    parent.store(buf, b"x")
    assert parent.pte(buf).write
    assert parent.load(buf, 2) == b"xI"
    world.kernel.check(at_rest=True)


def test_before_soft_dirty_there_is_nothing_to_clear() -> None:
    world, parent, _ = one_page("linux-2.6.29")
    with pytest.raises(Fault, match="clear_refs"):
        run(world.kernel.clear_refs(parent.cpu, parent.mm))
