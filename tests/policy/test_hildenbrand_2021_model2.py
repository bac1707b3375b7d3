"""hildenbrand-2021-model2: gup marks what it takes, fast gup without a lock."""

from __future__ import annotations

import pytest

from tests.common import one_page, two_mms
from tests.policy.test_mutants import REGISTRATION_VS_FORK
from uemu.abi import PROT_READ, PROT_WRITE, Foll
from uemu.explore import explore
from uemu.mm.grab import gup_release
from uemu.mm.gup import lockless_pages_from_mm
from uemu.mm.hooks import PolicyHooks
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.policy.hildenbrand_2021_model1 import Hildenbrand2021Model1
from uemu.policy.hildenbrand_2021_model2 import Hildenbrand2021Model2
from uemu.policy.registry import make_policy
from uemu.scenario.actions import Complete, DirectRead, Fork, Store
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import LAST_SECTOR, SECTOR, Scenario, Script, Stage
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, run

POLICY = "hildenbrand-2021-model2"
MARKED_ONLY = f"{POLICY}:marked-only"
RW = PROT_READ | PROT_WRITE
LOST = "lost-dma-write"
SEEN = "dma-write-seen-by-other"


def is_marked(page: Page) -> bool:
    return page.anon_exclusive.peek()


def test_what_nobody_takes_is_not_marked() -> None:
    _, parent, child, buf = two_mms(POLICY)
    parent.store(buf, b"P")
    child.store(buf, b"C")
    assert not is_marked(parent.page(buf))
    assert not is_marked(child.page(buf))


@pytest.mark.parametrize("api", ["o_direct", "vmsplice", "rdma", "vfio"])
def test_gup_marks_what_it_takes_fast_or_slow_get_or_pin(api: str) -> None:
    _, parent, buf = one_page(POLICY)
    if api in ("rdma", "vfio"):
        parent.register(buf, writable=False, api=api)
    else:
        parent.write_disk(buf, api=api)
    assert is_marked(parent.page(buf))


@pytest.mark.parametrize("api", ["o_direct", "vfio"], ids=["fast", "slow"])
def test_it_marks_a_page_that_is_mapped_read_only_if_the_entry_is_the_only_reference(
    api: str,
) -> None:
    world, parent, child, buf = two_mms(POLICY)
    child.exit()
    if api == "vfio":
        parent.register(buf, writable=False, api=api)
    else:
        parent.write_disk(buf, api=api)
    assert is_marked(parent.page(buf))
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize("api", ["o_direct", "vfio"], ids=["fast", "slow"])
def test_it_does_not_mark_what_others_may_have(api: str) -> None:
    _, parent, child, buf = two_mms(POLICY)
    if api == "vfio":
        parent.register(buf, writable=False, api=api)
    else:
        parent.write_disk(buf, api=api)
    assert parent.page(buf) is child.page(buf)
    assert not is_marked(parent.page(buf))


def test_nor_a_page_whose_other_reference_might_be_a_strangers() -> None:
    """A child that unmapped its page may hold it still: the first to store must leave it."""
    world, parent, child, buf = two_mms(POLICY)
    pipe = child.write_disk(buf, api="vmsplice")
    child.munmap(buf)
    parent.write_disk(buf)
    assert not is_marked(parent.page(buf))
    parent.store(buf, b"S")
    assert world.device_reads(pipe) == b"I"
    assert world.kinds() == set()


def test_the_mark_outlives_the_io_until_fork_finds_nobody_who_refers_to_the_page() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    page = parent.page(buf)
    assert parent.fork().page(buf) is not page
    world.complete(read)
    assert is_marked(page)
    assert parent.fork("second").page(buf) is page
    assert not is_marked(page)


def test_a_marked_page_is_reused_over_mprotect() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    parent.mprotect(buf, PROT_READ)
    parent.mprotect(buf, RW)
    parent.store(buf, b"P")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert world.kinds() == set()


@pytest.mark.parametrize(("policy", "held"), [(POLICY, 1), (MARKED_ONLY, 0)])
def test_marked_only_destroys_gup_fast_for_a_first_time(policy: str, held: int) -> None:
    world, parent, buf = one_page(policy)
    mech, foll = world.kernel.mech, Foll.GET | Foll.WRITE
    for expected in (held, 1):
        pages = run(lockless_pages_from_mm(mech, parent.cpu, parent.mm, [buf], foll))
        assert len(pages) == expected
        for page in pages:
            gup_release(mech, parent.cpu, page, foll)
        world.release(parent.register(buf))
    world.kernel.check(at_rest=True)


# gup-fast against fork ------------------------------------------------------------------------


def _read(stage: Stage) -> Script:
    read = yield DirectRead(stage.buf + LAST_SECTOR, SECTOR)
    yield Complete(read)


def _read_twice(stage: Stage) -> Script:
    yield from _read(stage)
    read = yield DirectRead(stage.buf + LAST_SECTOR, SECTOR)
    yield Complete(read, b"D")


def _fork_and_store(stage: Stage) -> Script:
    yield Fork("child")
    yield Store(stage.buf, b"P")


def _child(stage: Stage) -> Script:
    yield Store(stage.buf, b"C")


BOTH_STORE = Scenario(
    "both-store",
    "a read is submitted while another thread forks and stores, the child stores",
    SCENARIOS["gup-fast-vs-fork"].setup,
    {"io": _read, "fork": _fork_and_store},
    {"child": _child},
    "io fork fork child io",
)

A_SECOND_TIME = Scenario(
    "a-second-time",
    "a page is read into, and once more while another thread forks and stores",
    SCENARIOS["gup-fast-vs-fork"].setup,
    {"io": _read_twice, "fork": _fork_and_store},
    {},
    "io io io fork fork io",
)


@pytest.mark.parametrize(
    ("policy", "scenario", "verdicts"),
    [
        (POLICY, SCENARIOS["gup-fast-vs-fork"], {SEEN}),
        (POLICY, REGISTRATION_VS_FORK, {SEEN}),  # the pin is turned away, the mark stays
        (POLICY, BOTH_STORE, {"lost-store"}),
        (MARKED_ONLY, SCENARIOS["gup-fast-vs-fork"], set()),
        (MARKED_ONLY, REGISTRATION_VS_FORK, set()),
        (MARKED_ONLY, BOTH_STORE, set()),
        (MARKED_ONLY, A_SECOND_TIME, {LOST, SEEN}),  # as the first model, for a get
    ],
    ids=lambda value: value.name if isinstance(value, Scenario) else None,
)
def test_gup_fast_marks_what_fork_has_begun_to_share(
    policy: str, scenario: Scenario, verdicts: set[str]
) -> None:
    """J. Gunthorpe: "all the races too", or no fast gup."""
    found = explore(lambda: SimulatedWorld(scenario, policy))
    assert found.exhaustive
    assert set(found.verdicts) == verdicts


# Mutants --------------------------------------------------------------------------------------


class NobodyMarks(Hildenbrand2021Model2):
    """gup takes pages as it did before."""

    def try_to_mark(self, cpu: Cpu, pte: Pte, page: Page, foll: Foll) -> None:
        pass


class MarksWhateverItTakes(Hildenbrand2021Model2):
    """gup marks what others may have, too."""

    def try_to_mark(self, cpu: Cpu, pte: Pte, page: Page, foll: Foll) -> None:
        self.set_anon_exclusive(cpu, page, True)


MUTANTS = [
    (NobodyMarks, "lost-read", LOST),
    (MarksWhateverItTakes, "reverse-race", "foreign-dma-read"),
]


@pytest.mark.parametrize(("mutant", "scenario", "kind"), MUTANTS)
def test_the_mutant_shows_it_and_the_model_does_not(
    mutant: type[PolicyHooks], scenario: str, kind: str
) -> None:
    assert kind not in simulate(SCENARIOS[scenario], make_policy(POLICY)).kinds
    assert kind in simulate(SCENARIOS[scenario], mutant()).kinds


def test_write_fault_and_fork_ask_as_in_the_first_model() -> None:
    for rule in ("copy_present_pte", "reuse_anon_page", "fork_must_copy"):
        assert getattr(Hildenbrand2021Model2, rule) is getattr(Hildenbrand2021Model1, rule)
