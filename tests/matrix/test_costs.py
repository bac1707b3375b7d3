"""What a run costs: figures of a few cells, and why they are what they are."""

from __future__ import annotations

import pytest

from tests.common import made_up
from tests.each import each
from uemu.explore import replay
from uemu.matrix.costs import Costs, MeasuredWorld
from uemu.mm.hooks import PolicyHooks
from uemu.mm.lock_hooks import IoRequest
from uemu.mm.locks import RwSem
from uemu.mm.mm_struct import MmStruct
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.registry import POLICIES
from uemu.scenario.actions import Complete, DirectRead, DirectWrite, Migrate, Signal
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import SECTOR, Scenario, Script, Stage
from uemu.scenario.simulate import simulate, tell
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op


def costs_of(scenario: str | Scenario, policy: str | PolicyHooks) -> Costs:
    """The costs of a canonical run."""
    told = SCENARIOS[scenario] if isinstance(scenario, str) else scenario
    world = MeasuredWorld(told, policy)
    tell(world)
    world.stop()
    return world.costs


def read_twice(stage: Stage) -> Script:
    """Two reads from the disk, one after the other."""
    for _ in range(2):
        read = yield DirectRead(stage.buf, SECTOR)
        yield Complete(read, b"D" * SECTOR)


def write_once(stage: Stage) -> Script:
    """A write to the disk."""
    write = yield DirectWrite(stage.buf, SECTOR)
    yield Complete(write)


READ_TWICE = made_up("io io io io", io=read_twice)
WRITE_ONCE = made_up("io io", io=write_once)


@pytest.mark.parametrize(
    ("policy", "first_read", "second_read", "write"),
    [
        # get_page() and nothing else.
        ("linux-2.6.29", (1, 0), (1, 0), (1, 0)),
        # There is none.
        ("redhat-2.6.18", (0, 0), (0, 0), (0, 0)),
        # get_page(), SetPageGUP once in a page's life, smp_mb() each time. A read gup
        # never succeeds: it gives its reference back by a third atomic.
        ("arcangeli-2009-v2", (2, 1), (1, 1), (3, 1)),
        ("arcangeli-2009-v2:nomb", (2, 0), (1, 0), (3, 0)),
        # A page without the mark is refused before anything is taken.
        ("piggin-2009-page", (0, 0), (1, 0), (0, 0)),
        # O_DIRECT gets a page in 5.9, and pins it in 6.5, where the mm is marked once.
        ("linux-5.9", (1, 0), (1, 0), (1, 0)),
        ("linux-6.5", (2, 0), (1, 0), (2, 0)),
    ],
)
def test_atomics_and_barriers_inside_gup_fast(
    policy: str,
    first_read: tuple[int, int],
    second_read: tuple[int, int],
    write: tuple[int, int],
) -> None:
    wanted = tuple(one + two for one, two in zip(first_read, second_read, strict=True))
    for scenario, figures in ((READ_TWICE, wanted), (WRITE_ONCE, write)):
        costs = costs_of(scenario, policy)
        assert (costs.gup_fast_atomics, costs.gup_fast_barriers) == figures
    assert costs_of("lost-read", policy).gup_fast_atomics == first_read[0]


@pytest.mark.parametrize(
    ("policy", "fork", "cow", "flushes", "faults", "frames"),
    [
        # The parent's store copies; the child's finds mapcount 1. Each flush is two
        # IPIs, to the other two CPUs: at fork's end, and when the parent leaves the frame.
        ("linux-2.6.29", 0, 1, 4, 2, 3),
        # Both stores copy, and the device keeps the frame that nobody maps.
        ("linux-5.9", 0, 2, 4, 2, 4),
        # fork copies behind a flush of its own and makes the entry writable again.
        ("arcangeli-2009-v2", 1, 0, 4, 0, 3),
        # fork copies without one, and the parent's store faults to be reused.
        ("piggin-2009-page", 1, 0, 2, 1, 3),
        # fork copies, and leaves the parent's entry as it is.
        ("linux-6.5", 1, 0, 2, 0, 3),
    ],
)
def test_copies_flushes_faults_and_frames_of_lost_read(
    policy: str, fork: int, cow: int, flushes: int, faults: int, frames: int
) -> None:
    costs = costs_of("lost-read", policy)
    assert (costs.fork_copies, costs.cow_copies, costs.tlb_flushes) == (fork, cow, flushes)
    assert (costs.faults, costs.peak_frames, costs.fork_waited) == (faults, frames, 0)


def test_a_copy_that_gup_makes_is_no_copy_of_fork() -> None:
    # The read gup of the shared page breaks COW; linux-2.6.29 takes what is mapped.
    patched, plain = (costs_of("reverse-race", each) for each in ("linux-5.8", "linux-2.6.29"))
    assert (patched.fork_copies, patched.cow_copies) == (0, 1)
    assert (plain.fork_copies, plain.cow_copies) == (0, 1)
    # There it is the parent's store that copies, after a trap.
    assert (patched.faults, plain.faults) == (1, 2)


def test_a_page_that_moves_is_copied_by_nobody_who_breaks_cow() -> None:
    def cpu(stage: Stage) -> Script:
        yield Migrate(stage.buf)

    costs = costs_of(made_up("cpu", cpu=cpu), "linux-6.5")
    assert (costs.fork_copies, costs.cow_copies, costs.peak_frames) == (0, 0, 3)


class ForkWaits(Linux2_6_29):
    """I/O holds a semaphore that fork takes for writing."""

    def __init__(self) -> None:
        super().__init__()
        self.sem = RwSem(("sem",))

    def io_begin(self, cpu: Cpu, request: IoRequest) -> Op[None]:
        yield self.sem.read_step("io_begin", "for reading")
        self.sem.down_read(cpu)

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        self.sem.up_read(cpu)

    def fork_begin(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        yield from self.sem.write_once(cpu, "fork_begin", "for writing")


class ForkWaitsForEver(ForkWaits):
    """And nobody gives it back."""

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        pass


def test_steps_that_fork_waits_are_those_of_the_others() -> None:
    # One store of cpu, which shares nothing yet; the device writes; put_page.
    assert costs_of("lost-read", ForkWaits()).fork_waited == 3
    assert costs_of("lost-read", ForkWaitsForEver()).fork_waited == 3
    assert costs_of("lost-read", Linux2_6_29()).fork_waited == 0


def test_neither_the_setup_nor_the_end_of_the_processes_costs_anything() -> None:
    def nothing(stage: Stage) -> Script:
        yield Signal("nothing")

    costs = costs_of(made_up("io cpu", io=nothing, cpu=nothing), "linux-6.5")
    assert costs == Costs(peak_frames=2)


def test_frames_that_are_given_back_count_no_more() -> None:
    alone = costs_of("child-exits-first", "linux-2.6.29")
    assert alone.peak_frames == 2


@each("policy", POLICIES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_to_measure_changes_nothing_and_the_schedule_shows_it_again(
    scenario: str, policy: str
) -> None:
    told = SCENARIOS[scenario]
    if told.not_applicable(POLICIES[policy]()) is not None:
        return
    world = MeasuredWorld(told, policy)
    measured = tell(world)
    world.stop()
    assert measured == simulate(told, policy)
    again = replay(lambda: SimulatedWorld(told, policy), world.schedule)
    assert again.schedule == world.schedule
    assert again.verdicts == measured.kinds - {"fork-blocked"}
