"""hubbard-2021-locked-pages: gup-fast with FOLL_PIN looks at the page lock once it has pinned."""

from __future__ import annotations

import pytest

from tests.common import Process, TinyWorld, made_up
from tests.policy.locker import LockingWorld, lock_first_page
from uemu.abi import GUP_PIN_COUNTING_BIAS, PAGE_SIZE, PROT_READ, PROT_WRITE, Foll
from uemu.errors import InvariantError
from uemu.explore import explore
from uemu.mm.grab import gup_release
from uemu.mm.gup import lockless_pages_from_mm
from uemu.mm.hooks import GupCall, PolicyHooks
from uemu.mm.page import Page, trylock_page
from uemu.policy.hubbard_2021_locked_pages import Hubbard2021LockedPages
from uemu.policy.linux_5_11 import Linux5_11
from uemu.policy.registry import make_policy
from uemu.scenario.actions import DeviceLoads, DeviceStores, Mprotect, Register, Release, Store
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op, run

POLICY = "hubbard-2021-locked-pages"
FIXED = f"{POLICY}:fixed"
FAST_PIN = Foll.PIN | Foll.LONGTERM | Foll.WRITE
RECLAIM = Cpu("reclaim")


def three_pages(policy: str, locked: int | None) -> tuple[TinyWorld, Process, list[int]]:
    """A process with three pages, one of them locked by somebody."""
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap(3)
    parent.store(buf, b"I" * 3 * PAGE_SIZE)
    bases = [buf + i * PAGE_SIZE for i in range(3)]
    if locked is not None:
        trylock_page(RECLAIM, parent.page(bases[locked]))
    return world, parent, bases


def counts(parent: Process, bases: list[int]) -> list[int]:
    return [parent.page(base).refcount.peek() - 1 for base in bases]


def gup_fast(world: TinyWorld, parent: Process, bases: list[int], foll: Foll) -> list[Page]:
    return run(lockless_pages_from_mm(world.kernel.mech, parent.cpu, parent.mm, bases, foll))


@pytest.mark.parametrize(
    ("policy", "locked", "handed_out", "pinned"),
    [
        (POLICY, None, 3, [1, 1, 1]),
        (POLICY, 1, 2, [1, 0, 0]),
        (POLICY, 0, 1, [0, 0, 0]),
        (FIXED, 1, 1, [1, 0, 0]),
        (FIXED, 0, 0, [0, 0, 0]),
        ("linux-5.11", 1, 3, [1, 1, 1]),
    ],
)
def test_as_posted_one_page_is_handed_out_that_is_not_pinned(
    policy: str, locked: int | None, handed_out: int, pinned: list[int]
) -> None:
    """nr_pinned = i + 1: "keep the earlier pages", and one more."""
    world, parent, bases = three_pages(policy, locked)
    pages = gup_fast(world, parent, bases, FAST_PIN)
    assert pages == [parent.page(base) for base in bases[:handed_out]]
    assert counts(parent, bases) == [GUP_PIN_COUNTING_BIAS * pin for pin in pinned]


def test_a_get_does_not_ask() -> None:
    world, parent, bases = three_pages(POLICY, 0)
    assert len(gup_fast(world, parent, bases, Foll.GET | Foll.WRITE)) == 3


def test_meanwhile_pages_look_pinned_that_nobody_will_get() -> None:
    world, parent, bases = three_pages(FIXED, 0)
    gup = lockless_pages_from_mm(world.kernel.mech, parent.cpu, parent.mm, bases, FAST_PIN)
    while next(gup).what != "PageLocked ?":
        pass
    assert counts(parent, bases) == [GUP_PIN_COUNTING_BIAS] * 3
    assert list(gup)
    assert counts(parent, bases) == [0, 0, 0]


def test_the_slow_path_does_not_ask() -> None:
    world, parent, bases = three_pages(FIXED, 0)
    parent.register(bases[0])
    assert parent.page(bases[0]).locked.peek()
    assert counts(parent, bases)[0] == GUP_PIN_COUNTING_BIAS
    world.kernel.check(at_rest=True)


def test_as_posted_the_page_is_freed_under_the_device() -> None:
    world, parent, bases = three_pages(POLICY, 0)
    page = parent.page(bases[0])
    parent.register(bases[0])
    with pytest.raises(InvariantError) as caught:
        world.kernel.check(at_rest=True)
    assert caught.value.kind == "refcount-leak"
    parent.munmap(bases[0])
    assert page.pfn not in world.kernel.mech.pages


def test_as_posted_unpinning_falls_below_zero() -> None:
    world, parent, bases = three_pages(POLICY, 0)
    registered = parent.register(bases[0])
    with pytest.raises(InvariantError) as caught:
        world.release(registered)
    assert caught.value.kind == "refcount-leak"


# In every order ---------------------------------------------------------------------------


def _pin(stage: Stage) -> Script:
    memory = yield Register(stage.buf, 512, writable=True, api="rdma")
    yield DeviceStores(memory, 1, b"D")
    yield Release(memory)


def _one_page(stage: Stage) -> Script:
    yield from map_and_fill(stage, nr_pages=1)


PIN_VS_LOCK = Scenario(
    "pin-vs-lock", "made up", _one_page, {"io": _pin, "lock": lock_first_page}, {}, "io io io lock"
)


class KeepsTheRest(Hubbard2021LockedPages):
    """It gives up, and forgets to unpin."""

    def gup_fast_keep(self, cpu: Cpu, pages: list[Page], foll: Foll) -> Op[list[Page]]:
        kept = yield from super().gup_fast_keep(cpu, pages, foll)
        for page in pages[len(kept) :]:
            self.mech.get_page(cpu, page, GUP_PIN_COUNTING_BIAS)
        return kept


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        (make_policy("linux-5.11"), set()),
        (make_policy(POLICY), {"refcount-leak"}),
        (make_policy(FIXED), set()),
        (KeepsTheRest("fixed"), {"refcount-leak"}),
    ],
    ids=["linux-5.11", "as posted", "fixed", "keeps the rest"],
)
def test_a_pin_while_somebody_locks_the_page(policy: PolicyHooks, verdicts: set[str]) -> None:
    found = explore(lambda: LockingWorld(PIN_VS_LOCK, policy))
    assert found.exhaustive
    assert set(found.verdicts) == verdicts


def test_told_in_order_nobody_locks_the_page_and_as_posted_nothing_shows() -> None:
    found = explore(lambda: SimulatedWorld(made_up("io io io", io=_pin), POLICY))
    assert found.verdicts == {}


# The page lock of a write fault -----------------------------------------------------------


class FastVfio(Linux5_11):
    """Who pins to read and by gup-fast, as drivers of graphics cards do (userptr)."""

    def gup_kind(self, api: str, *, write: bool) -> GupCall:
        return GupCall(super().gup_kind(api, write=write).foll, fast=True)


class FastVfioHubbard(FastVfio, Hubbard2021LockedPages):
    """The same under the patch."""


def _write_protected(stage: Stage) -> Script:
    yield from _one_page(stage)
    yield Mprotect(stage.buf, PAGE_SIZE, PROT_READ)
    yield Mprotect(stage.buf, PAGE_SIZE, PROT_READ | PROT_WRITE)


def _pin_to_read(stage: Stage) -> Script:
    memory = yield Register(stage.buf, 512, writable=False, api="vfio")
    yield DeviceLoads(memory, 0, 1)
    yield Release(memory)


def _store(stage: Stage) -> Script:
    yield Store(stage.buf, b"P")


PIN_VS_STORE = Scenario(
    "pin-vs-store",
    "made up",
    _write_protected,
    {"io": _pin_to_read, "cpu": _store},
    {},
    "io io io cpu",
)


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        (FastVfio(), {"stale-dma-read"}),
        (FastVfioHubbard(), {"stale-dma-read", "refcount-leak"}),
        (FastVfioHubbard("fixed"), {"stale-dma-read"}),
    ],
    ids=["linux-5.11", "as posted", "fixed"],
)
def test_gup_fast_meets_the_page_lock_of_a_write_fault(
    policy: PolicyHooks, verdicts: set[str]
) -> None:
    found = explore(lambda: SimulatedWorld(PIN_VS_STORE, policy))
    assert found.exhaustive
    assert set(found.verdicts) == verdicts


def test_releasing_what_gup_fast_pinned_is_even() -> None:
    world, parent, bases = three_pages(FIXED, 2)
    for page in gup_fast(world, parent, bases, FAST_PIN):
        gup_release(world.kernel.mech, parent.cpu, page, FAST_PIN)
    assert counts(parent, bases) == [0, 0, 0]
