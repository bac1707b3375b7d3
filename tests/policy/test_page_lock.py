"""The page lock: who takes it in a write fault and at fork, and what who finds it taken does."""

from __future__ import annotations

import pytest

from tests.common import Process, TinyWorld, made_up, one_page, run_steps, two_mms
from tests.policy.locker import LockingWorld, lock_first_page
from uemu.abi import MADV_DONTNEED, PAGE_SIZE
from uemu.events import PageCopied
from uemu.explore import explore
from uemu.mm.hooks import PolicyHooks
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, trylock_page, unlock_page
from uemu.mm.pte import Pte
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.registry import make_policy
from uemu.scenario.actions import Fork, Madvise, Store
from uemu.scenario.script import Script, Stage
from uemu.step import Cpu, Op, Step, run

RECLAIM = Cpu("reclaim")

WAITING = ("linux-2.6.29", "linux-4.19", "linux-5.8", "kosaki-2009-dont-unmap")
"""Those whose write fault sleeps until it has the page lock."""

TRYING = ("linux-5.9", "linux-5.11", "linux-5.19", "linux-6.5")
"""Those whose write fault copies at once."""


def alone(policy: str) -> tuple[TinyWorld, Process, int, Page]:
    """A parent whose child is gone: its entry is read-only still, and nobody shares the page."""
    world, parent, child, buf = two_mms(policy)
    child.exit()
    return world, parent, buf, parent.page(buf)


def until(op: Op[None], fn: str) -> Step:
    """Run an operation up to a step of a function."""
    while (step := next(op)).fn != fn:
        assert step.is_enabled()
    return step


@pytest.mark.parametrize("policy", WAITING)
def test_a_write_fault_waits_for_the_page_lock_and_reuses(policy: str) -> None:
    world, parent, buf, page = alone(policy)
    assert trylock_page(RECLAIM, page)
    store = world.kernel.user.store(parent.cpu, parent.mm, buf, b"P")
    waits = until(store, "lock_page")
    assert not waits.is_enabled()
    assert page.refcount.peek() == 2  # its own, while it sleeps
    assert parent.mm.page_table_lock.is_free()
    unlock_page(RECLAIM, page)
    assert waits.is_enabled()
    run(store)
    assert parent.page(buf) is page
    assert repr(page) == "<pfn 0 1/1>"
    assert world.log(PageCopied) == []
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("policy", WAITING)
def test_it_looks_again_at_the_entry(policy: str) -> None:
    world, parent, buf, page = alone(policy)
    other = Process(world, parent.mm, world.cpu_of(parent.mm))
    assert trylock_page(RECLAIM, page)
    store = world.kernel.user.store(parent.cpu, parent.mm, buf, b"P")
    until(store, "lock_page")
    other.madvise(buf, MADV_DONTNEED)
    unlock_page(RECLAIM, page)
    run(store)
    assert parent.load(buf, 2) == b"P\0"
    assert not page.locked.peek()
    assert page.pfn not in world.kernel.mech.pages
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("policy", WAITING)
def test_it_copies_what_is_shared_by_then_all_the_same(policy: str) -> None:
    world, parent, child, buf = two_mms(policy)
    page = child.page(buf)
    assert trylock_page(RECLAIM, page)
    store = world.kernel.user.store(parent.cpu, parent.mm, buf, b"P")
    until(store, "lock_page")
    unlock_page(RECLAIM, page)
    run(store)
    assert parent.page(buf) is not page
    assert not page.locked.peek()
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("policy", WAITING)
def test_free_it_costs_a_step_to_nobody_where_nobody_could_see_it(policy: str) -> None:
    world, parent, buf, _ = alone(policy)
    _, taken = run_steps(world.kernel.user.store(parent.cpu, parent.mm, buf, b"P"))
    assert "lock_page" not in taken


@pytest.mark.parametrize(("locked", "copies"), [(False, []), (True, ["cow_user_page"])])
@pytest.mark.parametrize("policy", TRYING)
def test_a_write_fault_that_does_not_get_the_page_lock_copies(
    policy: str, locked: bool, copies: list[str]
) -> None:
    world, parent, buf, page = alone(policy)
    if locked:
        trylock_page(RECLAIM, page)
    parent.store(buf, b"P")
    assert [event.fn for event in world.log(PageCopied)] == copies
    assert (parent.page(buf) is page) is not locked
    assert page.locked.peek() is locked


@pytest.mark.parametrize("policy", TRYING)
def test_a_write_fault_has_the_page_lock_while_it_decides(policy: str) -> None:
    world, parent, buf, page = alone(policy)
    store = world.kernel.user.store(parent.cpu, parent.mm, buf, b"P")
    seen = []
    for _ in store:
        seen.append(page.locked.peek())
    assert seen.count(True) == 1
    assert not page.locked.peek()
    assert parent.page(buf) is page


@pytest.mark.parametrize("policy", ["linux-5.9", "linux-5.11"])
def test_it_looks_again_under_the_page_lock(policy: str) -> None:
    world, parent, buf, page = alone(policy)
    store = world.kernel.user.store(parent.cpu, parent.mm, buf, b"P")
    while not page.locked.peek():
        next(store)
    world.kernel.mech.get_page(world.device, page)  # gup-fast
    run(store)
    assert parent.page(buf) is not page
    assert not page.locked.peek()
    world.kernel.mech.put_page(world.device, page)
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("policy", ["arcangeli-2009-v1", "arcangeli-2009-v2"])
@pytest.mark.parametrize("locked", [False, True])
def test_fork_copies_a_marked_page_it_cannot_lock(policy: str, locked: bool) -> None:
    """Its count says nothing then: "trylock_page fails or ..."; see copy_one_pte, patched."""
    world, parent, buf = one_page(policy)
    world.complete(parent.read_disk(buf, PAGE_SIZE))
    page = parent.page(buf)
    if locked:
        trylock_page(RECLAIM, page)
    child = parent.fork()
    assert (child.page(buf) is not page) is locked
    world.kernel.check(at_rest=True)


# Who holds the page lock over a write fault, in every order ---------------------------------


def _fork(stage: Stage) -> Script:
    yield Fork("child")
    yield Store(stage.buf, b"P")


def _drop(stage: Stage) -> Script:
    yield Fork("child")
    yield Madvise(stage.buf, PAGE_SIZE, MADV_DONTNEED)


def _store(stage: Stage) -> Script:
    yield Store(stage.buf, b"S")


STORES = made_up("fork lock", fork=_fork, lock=lock_first_page)
DROPS = made_up("fork store lock", fork=_drop, store=_store, lock=lock_first_page)


@pytest.mark.parametrize("policy", [*WAITING, *TRYING, "arcangeli-2009-v2"])
def test_no_order_of_a_store_and_a_lock_violates_anything(policy: str) -> None:
    found = explore(lambda: LockingWorld(STORES, policy))
    assert found.exhaustive
    assert found.verdicts == {}


class DoesNotLookAgain(Linux2_6_29):
    """do_wp_page goes on with the entry it saw before it slept: it maps what it has no share in."""

    def lock_page_and_look_again(
        self, cpu: Cpu, mm: MmStruct, base: int, orig_pte: Pte, page: Page
    ) -> Op[bool]:
        same = yield from super().lock_page_and_look_again(cpu, mm, base, orig_pte, page)
        if not same:
            trylock_page(cpu, page)
        return True


@pytest.mark.parametrize(
    ("policy", "kind"),
    [(make_policy("linux-2.6.29"), None), (DoesNotLookAgain(), "refcount-leak")],
    ids=["linux-2.6.29", "looks once"],
)
def test_what_the_second_look_is_for(policy: PolicyHooks, kind: str | None) -> None:
    found = explore(lambda: LockingWorld(DROPS, policy), wanted=kind or "refcount-leak")
    assert (kind in found.verdicts) if kind else (found.exhaustive and found.verdicts == {})
