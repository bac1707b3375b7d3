"""torvalds-2009-directed-cow: the first owner keeps the page, the others get copies."""

from __future__ import annotations

import pytest

from tests.common import one_page, two_mms
from uemu.abi import PROT_READ
from uemu.events import PageCopied
from uemu.explore import explore
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.policy.torvalds_2009_directed_cow import Torvalds2009DirectedCow
from uemu.scenario.actions import Fork, Load, Store
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill
from uemu.scenario.simulate import tell
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op, run

POLICY = "torvalds-2009-directed-cow"


def test_when_the_owner_stores_the_child_gets_the_copy() -> None:
    world, parent, child, buf = two_mms(POLICY)
    shared = parent.page(buf)
    parent.store(buf, b"P")
    assert parent.page(buf) is shared
    assert (parent.load(buf), child.load(buf)) == (b"P", b"I")
    assert [event.mm for event in world.log(PageCopied)] == [child.mm.id]
    world.kernel.check(at_rest=True)


def test_when_the_child_stores_it_gets_the_copy() -> None:
    _, parent, child, buf = two_mms(POLICY)
    shared = parent.page(buf)
    child.store(buf, b"C")
    assert parent.page(buf) is shared
    assert (parent.load(buf), child.load(buf)) == (b"I", b"C")


def test_each_of_the_others_gets_a_copy_with_the_rights_it_has() -> None:
    world, parent, child, buf = two_mms(POLICY)
    child.mprotect(buf, PROT_READ)
    grandchild = child.fork("grandchild")
    parent.store(buf, b"P")
    pages = {id(process.page(buf)) for process in (parent, child, grandchild)}
    assert len(pages) == 3
    assert not child.pte(buf).write
    assert [process.load(buf) for process in (child, grandchild)] == [b"I", b"I"]
    world.kernel.check(at_rest=True)


def test_when_the_owner_is_gone_the_next_succeeds_it() -> None:
    _, parent, child, buf = two_mms(POLICY)
    grandchild = child.fork("grandchild")
    shared = child.page(buf)
    parent.exit()
    child.store(buf, b"C")
    assert child.page(buf) is shared
    assert grandchild.load(buf) == b"I"


def test_an_owner_that_exits_leaves_its_read_to_the_child() -> None:
    """Torvalds, 20:19: "the child seeing changes even though the IO was started in the parent"."""
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    child = parent.fork()
    parent.exit()
    world.device_writes(read, b"D")
    world.complete(read)
    assert child.load(buf) == b"D"
    assert world.kinds() == {"dma-write-seen-by-other"}


def test_a_child_that_holds_the_page_to_read_it_receives_what_the_owner_stores() -> None:
    """Piggin, 2009-03-14 05:20: parent and child may both hold it."""
    world, parent, child, buf = two_mms(POLICY)
    write = child.write_disk(buf)
    parent.store(buf, b"P")
    assert world.device_reads(write) == b"P"
    assert world.kinds() == {"foreign-dma-read"}


def test_a_pipe_leaks_although_nobody_unmaps() -> None:
    world, parent, child, buf = two_mms(POLICY)
    pipe = child.write_disk(buf, api="vmsplice")
    parent.store(buf, b"S")
    assert world.device_reads(pipe) == b"S"
    assert world.kinds() == {"secret-leak"}


def test_a_write_gup_of_the_owner_leaves_it_the_shared_page() -> None:
    world, parent, child, buf = two_mms(POLICY)
    shared = parent.page(buf)
    world.complete(parent.read_disk(buf))
    assert parent.page(buf) is shared
    assert child.page(buf) is not shared


def test_in_no_order_the_read_is_lost_but_the_child_may_see_it() -> None:
    found = explore(lambda: SimulatedWorld(SCENARIOS["gup-fast-vs-fork"], POLICY))
    assert found.exhaustive
    assert set(found.verdicts) == {"dma-write-seen-by-other"}


# Each rule taken out once --------------------------------------------------------------------


class NobodyIsTheFirstOwner(Torvalds2009DirectedCow):
    """Whoever stores gets the copy, as in 2.6.29."""

    def is_first_owner(self, mm: MmStruct, chain: list[tuple[MmStruct, int]]) -> bool:
        return False


class TheChainIsOld(Torvalds2009DirectedCow):
    """The copy is mapped whatever the other's entry has become meanwhile."""

    def maps(self, cpu: Cpu, mm: MmStruct, base: int, page: Page) -> Pte | None:
        pte = cpu.read(mm.pte(base))
        return pte if isinstance(pte, Pte) else None


class OwnerDoesNotLookAgain(Torvalds2009DirectedCow):
    """The owner's entry is made writable, though a fork may have shared the page once more."""

    def is_alone(self, cpu: Cpu, page: Page) -> bool:
        return True


class Unflushed(Torvalds2009DirectedCow):
    """The TLBs of the others keep what they have."""

    def flush(self, cpu: Cpu, mm: MmStruct, base: int) -> Op[None]:
        return
        yield


def _child_stores(stage: Stage) -> Script:
    yield Store(stage.buf + 1, b"C")


def _load_twice(stage: Stage) -> Script:
    yield Load(stage.buf, 1)
    yield Load(stage.buf, 1)


def _one_page(stage: Stage) -> Script:
    yield from map_and_fill(stage, nr_pages=1)


def _fork_and_store(stage: Stage) -> Script:
    yield Fork("child")
    yield Store(stage.buf, b"P")


BOTH_STORE = Scenario(
    "both-store", "parent and child store at once", _one_page,
    {"cpu": _fork_and_store}, {"child": _child_stores}, "cpu cpu child",
)  # fmt: skip

CHILD_LOADS = Scenario(
    "child-loads", "the child loads, the parent stores, the child loads", _one_page,
    {"cpu": _fork_and_store}, {"child": _load_twice}, "cpu child cpu child",
)  # fmt: skip


@pytest.mark.parametrize(
    ("mutant", "scenario", "kind"),
    [
        (NobodyIsTheFirstOwner, SCENARIOS["gup-fast-vs-fork"], "lost-dma-write"),
        (TheChainIsOld, BOTH_STORE, "pinned-page-freed"),
    ],
)
def test_without_one_rule_in_some_order_it_shows(
    mutant: type[Torvalds2009DirectedCow], scenario: Scenario, kind: str
) -> None:
    original = explore(lambda: SimulatedWorld(scenario, POLICY))
    assert original.exhaustive
    assert kind not in original.verdicts
    assert kind in explore(lambda: SimulatedWorld(scenario, mutant()), wanted=kind).verdicts


@pytest.mark.parametrize(("policy", "seen"), [(Torvalds2009DirectedCow, b"I"), (Unflushed, b"P")])
def test_without_the_flush_the_child_loads_what_the_owner_stored(
    policy: type[Torvalds2009DirectedCow], seen: bytes
) -> None:
    assert tell(SimulatedWorld(CHILD_LOADS, policy())).seen == (("child", b"I"), ("child", seen))


@pytest.mark.parametrize(
    ("policy", "seen"), [(Torvalds2009DirectedCow, b"I"), (OwnerDoesNotLookAgain, b"P")]
)
def test_without_a_second_look_who_is_born_meanwhile_loads_what_the_owner_stores(
    policy: type[Torvalds2009DirectedCow], seen: bytes
) -> None:
    world, owner, child, buf = two_mms(policy())
    store = world.kernel.user.store(owner.cpu, owner.mm, buf, b"P")
    while next(store).what != "a copy for child":
        pass
    grandchild = child.fork("grandchild")
    run(store)
    assert owner.load(buf) == b"P"
    assert grandchild.load(buf) == seen
