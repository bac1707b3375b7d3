"""hildenbrand-2021-model1: what is mapped writable is exclusive; fork copies what is held."""

from __future__ import annotations

import pytest

from tests.common import one_page, two_mms
from tests.policy.test_mutants import REGISTRATION_VS_FORK
from uemu.abi import PROT_READ, PROT_WRITE
from uemu.events import PageCopied
from uemu.explore import explore
from uemu.mm.hooks import PolicyHooks
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, trylock_page
from uemu.policy.hildenbrand_2021_model1 import Hildenbrand2021Model1
from uemu.policy.linux_5_9 import Linux5_9
from uemu.policy.linux_5_11 import Linux5_11
from uemu.policy.registry import make_policy
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu

POLICY = "hildenbrand-2021-model1"
RW = PROT_READ | PROT_WRITE
LOST = "lost-dma-write"
SEEN = "dma-write-seen-by-other"


def is_exclusive(page: Page) -> bool:
    return page.anon_exclusive.peek()


def test_what_is_mapped_writable_is_exclusive_first_copied_or_taken_over() -> None:
    _, parent, child, buf = two_mms(POLICY)
    assert not is_exclusive(parent.page(buf))
    parent.store(buf, b"P")
    assert is_exclusive(parent.page(buf))
    assert not is_exclusive(child.page(buf))
    child.store(buf, b"C")
    assert is_exclusive(child.page(buf))


@pytest.mark.parametrize(
    ("api", "write"),
    [
        ("o_direct", True),
        ("o_direct", False),
        ("vmsplice", False),
        ("rdma", True),
        ("rdma", False),
        ("vfio", True),
        ("vfio", False),
    ],
)
def test_fork_copies_an_exclusive_page_that_anybody_refers_to(api: str, write: bool) -> None:
    world, parent, buf = one_page(POLICY)
    if api in ("rdma", "vfio"):
        parent.register(buf, writable=write, api=api)
    elif write:
        parent.read_disk(buf, api=api)
    else:
        parent.write_disk(buf, api=api)
    held = parent.page(buf)
    child = parent.fork()
    assert [event.fn for event in world.log(PageCopied)] == ["copy_present_page"]
    assert parent.page(buf) is held
    assert parent.pte(buf).write
    assert is_exclusive(held)
    assert is_exclusive(child.page(buf))
    world.kernel.check(at_rest=True)


def test_fork_shares_what_nobody_else_refers_to_and_clears_the_bit() -> None:
    world, parent, buf = one_page(POLICY)
    world.complete(parent.read_disk(buf))
    child = parent.fork()
    assert child.page(buf) is parent.page(buf)
    assert not is_exclusive(parent.page(buf))
    assert world.log(PageCopied) == []


def test_fork_looks_at_a_page_that_is_mapped_read_only_too() -> None:
    _, parent, buf = one_page(POLICY)
    parent.read_disk(buf)
    parent.mprotect(buf, PROT_READ)
    child = parent.fork()
    assert child.page(buf) is not parent.page(buf)
    assert not child.pte(buf).write
    assert is_exclusive(child.page(buf))


def test_one_reference_is_always_safe_to_reuse() -> None:
    """J. Gunthorpe: "no matter what"; and it makes the page exclusive again."""
    world, parent, child, buf = two_mms(POLICY)
    page = parent.page(buf)
    child.exit()
    assert (page.refcount.peek(), is_exclusive(page)) == (1, False)
    parent.store(buf, b"P")
    assert parent.page(buf) is page
    assert is_exclusive(page)
    assert world.log(PageCopied) == []


def test_more_than_one_reference_leaves_it_to_the_bit() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    parent.mprotect(buf, PROT_READ)
    parent.mprotect(buf, RW)
    parent.store(buf, b"P")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert parent.load(buf, 2) == b"PD"
    assert world.log(PageCopied) == []


def test_an_exclusive_page_is_reused_locked_or_not() -> None:
    _, parent, buf = one_page(POLICY)
    page = parent.page(buf)
    parent.mprotect(buf, PROT_READ)
    parent.mprotect(buf, RW)
    trylock_page(Cpu("reclaim"), page)
    parent.store(buf, b"P")
    assert parent.page(buf) is page


def test_a_read_only_reference_to_a_shared_page_takes_it_and_leaves_it_shared() -> None:
    """Neither transformed to exclusive nor reused: tolerant, like a write to a disk ..."""
    world, parent, child, buf = two_mms(POLICY)
    write = parent.write_disk(buf)
    assert parent.page(buf) is child.page(buf)
    assert not is_exclusive(parent.page(buf))
    parent.store(buf, b"P")
    child.store(buf, b"C")
    assert world.device_reads(write) == b"I"
    assert world.kinds() == set()


def test_one_that_lasts_goes_stale() -> None:
    """... or "broken like VFIO"."""
    world, parent, _, buf = two_mms(POLICY)
    vfio = parent.register(buf, writable=False, api="vfio")
    parent.store(buf, b"P")
    assert world.device_reads(vfio) == b"I"
    assert world.kinds() == {"stale-dma-read"}


def test_foll_force_and_write_make_it_exclusive_and_so_it_is_not() -> None:
    """What J. Gunthorpe would have VFIO ask for; RDMA does."""
    world, parent, child, buf = two_mms(POLICY)
    rdma = parent.register(buf, writable=False, api="rdma")
    assert parent.page(buf) is not child.page(buf)
    assert is_exclusive(parent.page(buf))
    parent.store(buf, b"P")
    assert world.device_reads(rdma) == b"P"
    assert world.kinds() == set()


# gup-fast against fork, and mutants -----------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "verdicts"),
    [(SCENARIOS["gup-fast-vs-fork"], {LOST, SEEN}), (REGISTRATION_VS_FORK, set())],
    ids=["get", "pin"],
)
def test_gup_fast_and_fork_exclude_each_other_for_pins_alone(
    scenario: Scenario, verdicts: set[str]
) -> None:
    found = explore(lambda: SimulatedWorld(scenario, POLICY))
    assert found.exhaustive
    assert set(found.verdicts) == verdicts


class ForkCopiesPinsAlone(Hildenbrand2021Model1):
    """fork asks for pins, as before: what gets is shared and lost."""

    def fork_must_copy(self, cpu: Cpu, src: MmStruct, page: Page) -> bool:
        return self.page_needs_cow_for_dma(cpu, src, page)


class ForkSharesAll(Hildenbrand2021Model1):
    """fork copies nothing."""

    def fork_must_copy(self, cpu: Cpu, src: MmStruct, page: Page) -> bool:
        return False


class CountAlone(Hildenbrand2021Model1):
    """A write fault does not ask the bit, as before."""

    reuse_anon_page = Linux5_9.reuse_anon_page


class ForkLeavesTheBit(Hildenbrand2021Model1):
    """fork shares, and both take the page for their own."""

    copy_present_pte = Linux5_11.copy_present_pte


class TakesOverWhateverIsHeld(Hildenbrand2021Model1):
    """A write fault that finds no bit asks for no count."""

    def has_other_references(self, cpu: Cpu, page: Page) -> bool:
        return False

    def fork_must_copy(self, cpu: Cpu, src: MmStruct, page: Page) -> bool:
        return super().has_other_references(cpu, page)


MUTANTS = [
    (ForkCopiesPinsAlone, "lost-read", LOST),
    (ForkSharesAll, "exit-in-flight", SEEN),
    (CountAlone, "mprotect-toggle-while-pinned", LOST),
    (ForkLeavesTheBit, "lost-read", "lost-store"),
    (TakesOverWhateverIsHeld, "reverse-race", "foreign-dma-read"),
]


@pytest.mark.parametrize(("mutant", "scenario", "kind"), MUTANTS)
def test_the_mutant_shows_it_and_the_model_does_not(
    mutant: type[PolicyHooks], scenario: str, kind: str
) -> None:
    assert kind not in simulate(SCENARIOS[scenario], make_policy(POLICY)).kinds
    assert kind in simulate(SCENARIOS[scenario], mutant()).kinds
