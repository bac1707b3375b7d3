"""Migration: who keeps a page where it is, and what faults meanwhile see."""

from __future__ import annotations

import pytest

from tests.common import ALL_POLICIES, Process, TinyWorld, made_up, one_page, two_mms
from tests.each import each
from uemu.explore import explore
from uemu.mm.migrate import MIGRATED
from uemu.mm.pte import MigrationEntry
from uemu.scenario.actions import (
    Complete,
    DeviceStores,
    DirectRead,
    Fork,
    Migrate,
    Register,
    Release,
    Store,
)
from uemu.scenario.script import Script, Stage
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, run

MIGRATION = Cpu("kcompactd")
every_policy = each("policy", ALL_POLICIES)


def migrate(process: Process, addr: int) -> str:
    """Move the frame at an address; what became of it."""
    return run(process.world.kernel.migrate(MIGRATION, process.mm, addr))


def at_rest(world: TinyWorld) -> None:
    """Nothing is under way, and every count is right."""
    world.kernel.check(at_rest=True)


@every_policy
def test_what_nobody_holds_moves_with_its_bytes_and_rights(policy: str) -> None:
    world, parent, buf = one_page(policy)
    before = parent.pte(buf)
    assert migrate(parent, buf) == MIGRATED
    after = parent.pte(buf)
    assert after == before._replace(pfn=after.pfn)
    assert after.pfn != before.pfn
    assert parent.load(buf) == b"I"
    parent.store(buf, b"x")
    assert parent.pte(buf).pfn == after.pfn
    at_rest(world)


@every_policy
def test_a_shared_page_moves_for_all(policy: str) -> None:
    world, parent, child, buf = two_mms(policy)
    assert migrate(child, buf) == MIGRATED
    assert parent.pte(buf) == child.pte(buf)
    parent.store(buf, b"P")
    assert child.load(buf) == b"I"
    at_rest(world)


@every_policy
@pytest.mark.parametrize("api", ["rdma", "vfio"])
def test_what_is_held_stays_and_is_mapped_as_before(policy: str, api: str) -> None:
    world, parent, buf = one_page(policy)
    memory = parent.register(buf, api=api)
    before = parent.pte(buf)
    assert migrate(parent, buf) != MIGRATED
    assert parent.pte(buf) == before
    world.device_writes(memory, b"D")
    assert parent.load(buf) == b"D"
    world.release(memory)
    assert not world.kinds()
    assert migrate(parent, buf) == MIGRATED
    at_rest(world)


# Every order of events


def _migrate(stage: Stage) -> Script:
    yield Migrate(stage.buf)


def _store(stage: Stage) -> Script:
    yield Store(stage.buf, b"P")


def _fork(stage: Stage) -> Script:
    yield Fork("child")


def _o_direct(stage: Stage) -> Script:
    read = yield DirectRead(stage.buf, 512)
    yield Complete(read, b"D" * 512)


def _rdma(stage: Stage) -> Script:
    memory = yield Register(stage.buf, 512, True, "rdma")
    yield DeviceStores(memory, 0, b"D" * 512)
    yield Release(memory)


KERNELS = ["linux-2.6.29", "linux-5.11", "linux-5.19", "linux-6.5"]


@pytest.mark.parametrize("policy", KERNELS)
@pytest.mark.parametrize("other", [_store, _fork])
def test_a_store_or_a_fork_beside_it_loses_nothing(policy: str, other: object) -> None:
    scenario = made_up("other kcompactd", other=other, kcompactd=_migrate)  # type: ignore[arg-type]
    result = explore(lambda: SimulatedWorld(scenario, policy))
    assert result.exhaustive
    assert result.verdicts == {}


@pytest.mark.parametrize("policy", KERNELS)
@pytest.mark.parametrize("io", [_o_direct, _rdma])
def test_gup_beside_it_loses_nothing(policy: str, io: object) -> None:
    order = "kcompactd io io" if io is _o_direct else "kcompactd io io io"
    scenario = made_up(order, io=io, kcompactd=_migrate)  # type: ignore[arg-type]
    result = explore(lambda: SimulatedWorld(scenario, policy))
    assert result.exhaustive
    assert result.verdicts == {}


def test_who_counts_no_references_loses_the_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uemu.mm.migrate._why_it_stays", lambda cpu, page: None)
    world, parent, buf = one_page()
    transfer = parent.read_disk(buf, 512)
    assert migrate(parent, buf) == MIGRATED
    world.device_writes(transfer, b"D")
    world.complete(transfer)
    assert world.kinds() == {"lost-dma-write"}


def test_a_fault_meanwhile_waits_until_the_page_is_there_again() -> None:
    world, parent, buf = one_page()
    op = world.kernel.migrate(MIGRATION, parent.mm, buf)
    while not isinstance(parent.mm.ptes[buf].peek(), MigrationEntry):
        next(op)
    store = world.kernel.user.store(parent.cpu, parent.mm, buf, b"x")
    step = next(store)
    while step.is_enabled():
        step = next(store)
    assert step.fn == "migration_entry_wait"
    assert run(op) == MIGRATED
    assert step.is_enabled()
    run(store)
    assert parent.load(buf) == b"x"
    at_rest(world)


# What stays, and gives back what it took


@every_policy
def test_without_a_frame_to_move_to_the_page_stays_as_it_was(policy: str) -> None:
    world, parent, buf = one_page(policy)
    before, mech = parent.pte(buf), world.kernel.mech
    mech.frame_limit = len(mech.pages)
    assert migrate(parent, buf) == "no page frame is left"
    assert parent.pte(buf) == before
    assert not parent.page(buf).locked.peek()
    at_rest(world)
    mech.frame_limit = None
    assert migrate(parent, buf) == MIGRATED


def test_what_is_locked_or_in_the_swap_cache_stays() -> None:
    world, parent, buf = one_page()
    parent.page(buf).locked.value = True
    assert migrate(parent, buf) == "it is locked"
    parent.page(buf).locked.value = False
    transfer = parent.write_disk(buf, 512)
    run(world.kernel.swap_out(MIGRATION, parent.mm, buf))
    parent.load(buf)
    before = parent.pte(buf)
    assert migrate(parent, buf) == "it is in the swap cache"
    assert parent.pte(buf) == before
    at_rest(world)
    world.complete(transfer)
    parent.store(buf, b"x")
    assert migrate(parent, buf) == MIGRATED
    at_rest(world)
