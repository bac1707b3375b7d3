"""Fresh pages that wait for the LRU: who takes the reference for a user's, and what that costs."""

from __future__ import annotations

import pytest

from tests.common import Process, TinyWorld
from uemu.abi import PAGE_SIZE, PROT_READ, PROT_WRITE
from uemu.events import PageCopied
from uemu.explore import explore
from uemu.mm.hooks import PolicyHooks
from uemu.mm.page import Page
from uemu.mm.pagevec import lru_add_drain
from uemu.mm.reclaim import FREED
from uemu.policy import linux_5_19
from uemu.policy.hildenbrand_2021_model1 import Hildenbrand2021Model1
from uemu.policy.linux_5_19 import Linux5_19
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.simulate import tell
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, run

COUNTING = ("linux-2.6.7", "torvalds-2009-page-count", "kosaki-2009-dont-unmap", "linux-5.9",
            "linux-5.11")  # fmt: skip
"""Those whose write fault asks page_count and drains nothing."""

DRAINING = ("linux-5.19", "linux-6.5")
"""Those that drain this CPU's pagevec before they ask."""

NOT_ASKING = ("linux-2.6.29", "linux-4.19", "linux-5.8")


def fresh(policy: str | PolicyHooks, *, pagevecs: bool = True) -> tuple[TinyWorld, Process, int]:
    """A process that touched a page just now."""
    world = TinyWorld(policy, pagevecs=pagevecs)
    parent = world.process()
    buf = parent.mmap()
    parent.store(buf, b"I" * PAGE_SIZE)
    return world, parent, buf


def copies(world: TinyWorld) -> list[str]:
    return [event.fn for event in world.log(PageCopied)]


def store_when_the_child_is_gone(
    policy: str | PolicyHooks, *, pagevecs: bool = True, elsewhere: bool = False
) -> list[str]:
    """The copies that a store makes for nobody; ``elsewhere``: the page waits on another CPU."""
    world, parent, buf = fresh(policy, pagevecs=pagevecs)
    parent.fork().exit()
    storing = world.process(parent.mm) if elsewhere else parent
    storing.store(buf, b"P")
    world.kernel.check(at_rest=True)
    return copies(world)


# The write fault -----------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [*COUNTING, *DRAINING, *NOT_ASKING])
def test_a_page_that_waits_for_nothing_is_reused(policy: str) -> None:
    assert store_when_the_child_is_gone(policy, pagevecs=False) == []


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("policy", COUNTING)
def test_who_asks_page_count_copies_a_fresh_page_for_nobody(policy: str, elsewhere: bool) -> None:
    assert store_when_the_child_is_gone(policy, elsewhere=elsewhere) == ["cow_user_page"]


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("policy", NOT_ASKING)
def test_who_asks_the_mapcount_does_not(policy: str, elsewhere: bool) -> None:
    assert store_when_the_child_is_gone(policy, elsewhere=elsewhere) == []


@pytest.mark.parametrize(("elsewhere", "copied"), [(False, []), (True, ["cow_user_page"])])
@pytest.mark.parametrize("policy", DRAINING)
def test_5_19_drains_its_own_pagevec_and_cannot_drain_others(
    policy: str, elsewhere: bool, copied: list[str]
) -> None:
    assert store_when_the_child_is_gone(policy, elsewhere=elsewhere) == copied


def test_what_5_9_copied_for_nobody_was_nobodys_loss() -> None:
    world, parent, buf = fresh("linux-5.9")
    parent.fork().exit()
    parent.store(buf, b"P")
    assert parent.load(buf, 2) == b"PI"
    assert world.kinds() == set()


@pytest.mark.parametrize(
    ("policy", "copied"), [("linux-5.9", ["cow_user_page"]), ("linux-5.19", [])]
)
def test_mprotect_and_back_copies_a_fresh_page_unless_it_is_exclusive(
    policy: str, copied: list[str]
) -> None:
    world, parent, buf = fresh(policy)
    parent.mprotect(buf, PROT_READ)
    parent.mprotect(buf, PROT_READ | PROT_WRITE)
    parent.store(buf, b"P")
    assert copies(world) == copied


def test_above_three_references_5_19_does_not_even_try() -> None:
    _, parent, buf = fresh("linux-5.19")
    page = parent.page(buf)
    parent.fork().exit()
    for _ in range(2):
        parent.write_disk(buf)
    assert page.refcount.peek() == 4
    parent.store(buf, b"P")
    assert parent.page(buf) is not page
    assert page.refcount.peek() == 3  # no PTE: the pagevec and two devices


# fork ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pagevecs", "copied"), [(False, []), (True, ["copy_one_pte"])])
def test_without_pg_gup_fork_copies_every_fresh_page(pagevecs: bool, copied: list[str]) -> None:
    """A. Arcangeli, 2009-03-16 13:56: "that was measurable"."""
    world, parent, _ = fresh("redhat-2.6.18", pagevecs=pagevecs)
    parent.fork()
    assert copies(world) == copied


@pytest.mark.parametrize("policy", ["arcangeli-2009-v1", "arcangeli-2009-v2"])
def test_with_pg_gup_only_one_that_was_held_once(policy: str) -> None:
    world, parent, buf = fresh(policy)
    parent.fork()
    assert copies(world) == []

    world, parent, buf = fresh(policy)
    world.complete(parent.read_disk(buf))
    parent.fork()
    assert copies(world) == ["fork_pre_cow"]

    world, parent, buf = fresh(policy, pagevecs=False)
    world.complete(parent.read_disk(buf))
    parent.fork()
    assert copies(world) == []


@pytest.mark.parametrize("pagevecs", [False, True])
@pytest.mark.parametrize("policy", ["linux-5.9", "linux-5.11", "linux-5.19", "linux-6.5"])
def test_one_reference_more_is_no_pin(policy: str, pagevecs: bool) -> None:
    world, parent, buf = fresh(policy, pagevecs=pagevecs)
    world.release(parent.register(buf))
    parent.fork()
    assert copies(world) == []


def test_the_first_model_of_2021_takes_it_for_an_additional_reference() -> None:
    world, parent, _ = fresh("hildenbrand-2021-model1")
    parent.fork()
    assert copies(world) == ["copy_present_page"]


# A mutant, and every order -------------------------------------------------------------------


class DoesNotDrain(Linux5_19):
    """5.19 without what came with v5.18."""

    before_the_count = Hildenbrand2021Model1.before_the_count


class DrainsWhateverTheCount(Linux5_19):
    """And with it for any count, and any page."""

    def before_the_count(self, cpu: Cpu, page: Page) -> None:
        lru_add_drain(self.mech, cpu)


def test_without_the_drain_5_19_copies_as_5_9_did() -> None:
    assert store_when_the_child_is_gone(DoesNotDrain()) == ["cow_user_page"]
    assert store_when_the_child_is_gone(DoesNotDrain(), pagevecs=False) == []


def test_the_drain_of_any_page_would_help_none_with_more_references() -> None:
    assert store_when_the_child_is_gone(DrainsWhateverTheCount()) == []
    assert store_when_the_child_is_gone(DrainsWhateverTheCount(), elsewhere=True) != []


@pytest.mark.parametrize("scenario", ["child-exits-first", "gup-fast-vs-fork"])
@pytest.mark.parametrize("policy", ["linux-2.6.29", "arcangeli-2009-v2", "linux-5.9", "linux-5.19"])
def test_in_every_order_it_costs_and_harms_nobody(scenario: str, policy: str) -> None:
    told = SCENARIOS[scenario]
    off = explore(lambda: SimulatedWorld(told, policy))
    on = explore(lambda: SimulatedWorld(told, policy, pagevecs=True))
    assert off.exhaustive
    assert on.exhaustive
    assert set(on.verdicts) == set(off.verdicts)


@pytest.mark.parametrize(("drains", "copied"), [(True, []), (False, ["cow_user_page"])])
def test_a_store_that_swaps_in_takes_over_what_nobody_shares_any_more(
    drains: bool, copied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """5.19 asks for the count there, too: of the page it has just read, which waits."""
    world, parent, buf = fresh("linux-5.19")
    child = parent.fork()
    assert run(world.kernel.swap_out(parent.cpu, parent.mm, buf)) == FREED
    child.exit()
    if not drains:
        monkeypatch.setattr(linux_5_19, "lru_add_drain", lambda mech, cpu: None)
    parent.store(buf, b"P")
    assert parent.pte(buf).write
    assert copies(world) == copied
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize(
    ("policy", "scenario", "kind"),
    [
        ("redhat-2.6.18", "reverse-race", "foreign-dma-read"),
        ("redhat-2.6.18", "vmsplice-child-leak", "secret-leak"),
        ("hildenbrand-2021-model1", "ro-longterm-pin", "stale-dma-read"),
    ],
)
def test_what_fork_copies_for_nobody_keeps_others_off_by_chance(
    policy: str, scenario: str, kind: str
) -> None:
    """A page that fork copied because it waited was not shared: on the LRU it would have been."""
    told = SCENARIOS[scenario]
    assert tell(SimulatedWorld(told, policy)).kinds == {kind}
    assert tell(SimulatedWorld(told, policy, pagevecs=True)).kinds == set()
