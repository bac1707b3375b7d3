"""When transfers end: each rule of the schedules, over an emulated kernel and a clock of ours.

What a policy decides is real; processes, their stores and their requests are
the few lines of `Run`, which does what `direct`, `faults` and `births` do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from tests.common import Process, TinyWorld
from uemu.abi import PAGE_SIZE, Direction
from uemu.dma.engine import Transfer
from uemu.host.procfs import ProcessMemory
from uemu.live.program import schedule as module
from uemu.live.program.schedule import FOR_A_FORK, PATIENCE, DmaOptions, Flight, Schedule
from uemu.live.program.tasks import ProgramMm, ProgramProcess, Task
from uemu.step import Cpu, run

HOLD_MS = 1000
WAIT_S = HOLD_MS / 1000 * FOR_A_FORK
"""How long the first transfer of a family waits for a fork."""

SHARES = "linux-2.6.29"
"""A kernel whose fork shares pages that a device holds."""

COPIES = "linux-6.5"
"""One whose fork copies them."""

READ, WRITE = Direction.FROM_DEVICE, Direction.TO_DEVICE


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that schedules look at."""
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


class Program:
    """An address space with three pages full of ``I``, and who runs in it.

    Attributes:
        process: the emulated process.
        mm: what the schedule knows of it.
    """

    def __init__(self, process: Process, buf: int, family: int, nr_tasks: int) -> None:
        self.process = process
        self.buf = buf
        self.mm = ProgramMm(process.mm, ProcessMemory(0), family)
        tasks = ProgramProcess(0)
        self.mm.tasks = [Task(0, tasks, self.mm, Cpu(f"task {i}")) for i in range(nr_tasks)]

    @property
    def task(self) -> Task:
        return self.mm.tasks[0]

    def pfn(self, page: int = 0) -> int:
        return self.process.pte(self.at(page)).pfn

    def at(self, page: int) -> int:
        return self.buf + page * PAGE_SIZE


class Run:
    """A run of programs under a schedule.

    Attributes:
        released: children that were let go.
        ended: transfers that are over, in order.
    """

    def __init__(
        self, kind: str = "held", policy: str = SHARES, *, seed: int = 0, hold_ms: int = HOLD_MS
    ) -> None:
        self.world = TinyWorld(policy)
        self.released: list[Task] = []
        self.ended: list[Flight] = []
        self.schedule = Schedule(
            self.world.kernel, DmaOptions(kind, seed, hold_ms), self.released.append
        )

    def program(self, nr_tasks: int = 2, family: int = 1) -> Program:
        """A program; with one task it does nothing else while it waits."""
        process = self.world.process()
        buf = process.mmap(3)
        process.store(buf, b"I" * 3 * PAGE_SIZE)
        return Program(process, buf, family, nr_tasks)

    def begin(
        self, program: Program, way: Direction = READ, pages: Sequence[int] = (0,), *,
        waits: bool = True,
    ) -> Flight:  # fmt: skip
        """Ask for a transfer of some pages. Like `DirectIo.submit`."""
        process, kernel, schedule = program.process, self.world.kernel, self.schedule
        before = {page: program.pfn(page) for page in pages}
        was_shared = schedule.any_shared(before.values())
        iov = [(program.at(page), PAGE_SIZE) for page in pages]
        io = run(kernel.io.dio_submit(process.cpu, process.mm, iov, way, "o_direct"))
        for page, pfn in before.items():
            if program.pfn(page) != pfn:
                schedule.wrote(program.mm, program.at(page), pfn)
        return schedule.started(
            io, program.mm, self.finish, direction=way, waits=waits, was_shared=was_shared
        )

    def finish(self, flight: Flight) -> None:
        assert isinstance(flight.io, Transfer)
        self.world.complete(flight.io)
        self.ended.append(flight)

    def fork(self, program: Program) -> Program:
        """Like `Births.fork`; the child may wait at birth."""
        child = Program(program.process.fork(), program.buf, program.mm.family, 1)
        waits = self.schedule.forked(program.mm, child.task)
        assert waits is (child.task in self.schedule.born)
        return child

    def store(self, program: Program, page: int = 0) -> None:
        """Store to a page; where it faults, like `Faults.on_segv`."""
        pte = program.process.pte(program.at(page))
        soon = []
        if not pte.write:
            process, kernel = program.process, self.world.kernel
            run(kernel.fault(process.cpu, process.mm, program.at(page), write=True))
            soon = self.schedule.wrote(program.mm, program.at(page), pte.pfn)
        program.process.store(program.at(page), b"W")
        for flight in soon:
            self.schedule.end(flight)

    def exit(self, program: Program) -> None:
        """Like `Births._end_mm`."""
        program.mm.tasks.clear()
        self.schedule.drain(program.mm)
        program.process.exit()
        self.schedule.mm_gone(program.mm)

    def is_over(self, flight: Flight) -> bool:
        """Whether it is; that it was finished once and its pages were given back."""
        assert self.ended.count(flight) <= 1
        assert (flight in self.ended) is not flight.io.live
        assert (flight in self.schedule.flights) is flight.io.live
        return flight in self.ended


pytestmark = pytest.mark.usefixtures("clock")


# immediate ------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [READ, WRITE])
@pytest.mark.parametrize("waits", [True, False])
def test_an_immediate_transfer_is_over_when_it_begins(way: Direction, waits: bool) -> None:
    during = Run("immediate")
    program = during.program()
    assert during.is_over(during.begin(program, way, waits=waits))
    during.fork(program)
    assert during.is_over(during.begin(program, way, waits=waits))
    assert not during.schedule.is_waiting


def test_under_immediate_no_child_waits_at_birth() -> None:
    during = Run("immediate")
    program = during.program()
    during.begin(program)
    during.fork(program)
    assert during.schedule.born == []


# held: until a fork ---------------------------------------------------------------------------


@pytest.mark.parametrize("way", [READ, WRITE])
def test_a_held_transfer_waits_for_a_fork(way: Direction) -> None:
    during = Run()
    flight = during.begin(during.program(), way)
    assert not during.is_over(flight)
    assert not flight.over_fork
    assert during.schedule.is_waiting


@pytest.mark.parametrize(
    ("nr_tasks", "waits", "over"), [(1, True, True), (1, False, False), (2, True, False)]
)
def test_who_is_alone_and_waits_can_do_nothing_meanwhile(
    nr_tasks: int, waits: bool, over: bool
) -> None:
    during = Run()
    flight = during.begin(during.program(nr_tasks), waits=waits)
    assert during.is_over(flight) is over


def test_a_fork_of_its_process_leaves_it_in_flight_and_at_risk() -> None:
    during = Run()
    program = during.program()
    flight = during.begin(program)
    during.fork(program)
    assert not during.is_over(flight)
    assert flight.over_fork
    assert flight.at_risk == {program.pfn()}
    assert not flight.written


def test_a_fork_that_copies_what_is_held_ends_it() -> None:
    during = Run(policy=COPIES)
    program = during.program()
    flight = during.begin(program)
    during.fork(program)
    assert during.is_over(flight)
    assert flight.over_fork
    assert during.schedule.born == []


def test_a_write_before_the_fork_is_nothing() -> None:
    during = Run()
    program = during.program()
    flight = during.begin(program)
    during.store(program)
    assert not during.is_over(flight)
    assert not flight.written


def test_a_fork_of_another_process_is_nothing() -> None:
    during = Run()
    flight = during.begin(during.program())
    during.fork(during.program())
    assert not during.is_over(flight)
    assert not flight.over_fork


# held: until a write --------------------------------------------------------------------------


def forked_over(
    way: Direction, pages: Sequence[int] = (0,)
) -> tuple[Run, Program, Program, Flight]:
    """A transfer over pages that fork left shared; the parent, the child."""
    during = Run()
    program = during.program()
    flight = during.begin(program, way, pages)
    child = during.fork(program)
    return during, program, child, flight


@pytest.mark.parametrize("who", ["parent", "child"])
def test_a_read_ends_when_somebody_writes_to_its_shared_page(who: str) -> None:
    during, program, child, flight = forked_over(READ)
    during.store(program if who == "parent" else child)
    assert during.is_over(flight)
    assert flight.written


def test_a_write_to_another_page_is_nothing() -> None:
    during, program, child, flight = forked_over(READ)
    during.store(program, page=1)
    during.store(child, page=2)
    assert not during.is_over(flight)
    assert not flight.written


def test_a_read_of_several_pages_ends_with_the_first_that_its_holder_leaves() -> None:
    during, program, _, flight = forked_over(READ, (0, 2))
    during.store(program, page=2)
    assert during.is_over(flight)


def test_a_read_of_several_pages_stays_while_others_have_some_of_them() -> None:
    during, _, child, flight = forked_over(READ, (0, 2))
    during.store(child, page=2)
    assert not during.is_over(flight)
    assert flight.written
    during.store(child, page=0)
    assert during.is_over(flight)


def test_every_read_of_a_page_ends_with_it() -> None:
    during = Run()
    program = during.program()
    both = [during.begin(program), during.begin(program)]
    during.fork(program)
    during.store(program)
    assert [during.is_over(flight) for flight in both] == [True, True]


def test_a_write_ends_when_the_others_have_left_its_page() -> None:
    during, _, child, flight = forked_over(WRITE)
    during.store(child)
    assert during.is_over(flight)
    assert flight.written


def test_a_write_whose_holder_left_the_page_waits_for_a_foreign_store() -> None:
    """The parent copies, the child has what the device still reads."""
    during, program, child, flight = forked_over(WRITE)
    during.store(program)
    assert not during.is_over(flight)
    assert child.pfn() in flight.pfns
    frames, seen = during.world.kernel.frames, []

    def look(over: Flight) -> None:
        (pfn,) = over.pfns
        seen.append(frames.read(pfn, 0, 1))
        during.finish(over)

    flight.finish = look
    during.store(child)
    assert during.is_over(flight)
    assert seen == [b"W"]  # after the store itself


def test_a_store_of_the_holder_itself_is_not_foreign() -> None:
    """To a page that the child has left, while it still has another one."""
    during, program, child, flight = forked_over(WRITE, (0, 1))
    during.store(child, page=0)
    assert not program.process.pte(program.at(0)).write
    before = program.pfn(0)
    during.store(program, page=0)
    assert program.pfn(0) == before
    assert not during.is_over(flight)
    during.store(child, page=1)
    assert during.is_over(flight)


def test_a_foreign_store_is_awaited_under_held_alone() -> None:
    during = Run("random", seed=seed_of_a_late_one())
    program = during.program()
    flight = during.begin(program, WRITE)
    child = during.fork(program)
    during.store(program)
    during.store(child)
    assert not during.is_over(flight)
    assert flight.written


def test_a_write_by_one_who_has_it_alone_is_no_event() -> None:
    during = Run()
    program = during.program()
    assert during.schedule.wrote(program.mm, program.buf, program.pfn()) == []


# Pages that an earlier fork shared ------------------------------------------------------------


def test_a_write_of_pages_shared_before_is_over_fork_from_the_start() -> None:
    during = Run()
    program = during.program(nr_tasks=1)
    child = during.fork(program)
    flight = during.begin(program, WRITE)
    assert not during.is_over(flight)  # although it is alone
    assert flight.over_fork
    assert flight.at_risk == {program.pfn()}
    during.store(child)
    assert during.is_over(flight)


def test_a_read_of_pages_shared_before_has_left_them_already() -> None:
    """To hold a page for a device to write is to write it."""
    during = Run()
    program = during.program()
    child = during.fork(program)
    flight = during.begin(program)
    assert flight.over_fork
    assert flight.at_risk == set()
    assert program.pfn() != child.pfn()


def test_a_read_parts_a_page_that_another_transfer_is_over() -> None:
    during, program, _, first = forked_over(READ)
    second = during.begin(program)
    assert during.is_over(first)
    assert first.written
    assert not during.is_over(second)


# Who waits at entry ---------------------------------------------------------------------------


def test_a_reader_of_the_same_page_waits_at_entry() -> None:
    during = Run()
    program = during.program()
    during.begin(program, pages=(1,))
    wait = during.schedule.must_wait_at_entry
    assert wait(program.mm, [(program.at(1), 512)])
    assert wait(program.mm, [(program.at(1) + 512, 512)])
    assert wait(program.mm, [(program.at(0), 512), (program.at(1) + 3584, 512)])
    assert wait(program.mm, [(program.at(0) + 3584, 1024)])
    # Another page, another process.
    assert not wait(program.mm, [(program.at(0), PAGE_SIZE), (program.at(2), PAGE_SIZE)])
    assert not wait(program.mm, [])
    assert not wait(during.program().mm, [(program.at(1), 512)])


def test_nobody_waits_at_entry_for_a_write() -> None:
    during = Run()
    program = during.program()
    during.begin(program, WRITE)
    assert not during.schedule.must_wait_at_entry(program.mm, [(program.at(0), 512)])


def test_nobody_waits_at_entry_after_the_fork_or_the_end() -> None:
    during = Run()
    program = during.program()
    flight = during.begin(program)
    during.fork(program)
    assert not during.schedule.must_wait_at_entry(program.mm, [(program.at(0), 512)])
    during = Run()
    program = during.program()
    flight = during.begin(program)
    during.schedule.end(flight)
    assert not during.schedule.must_wait_at_entry(program.mm, [(program.at(0), 512)])


@pytest.mark.parametrize("kind", ["immediate", "random"])
def test_under_other_schedules_nobody_waits_at_entry(kind: str) -> None:
    during = Run(kind, seed=seed_of_a_late_one())
    program = during.program()
    during.begin(program)
    assert not during.schedule.must_wait_at_entry(program.mm, [(program.at(0), 512)])


# Who waits at birth ---------------------------------------------------------------------------


def test_a_child_waits_at_birth_until_its_parent_writes() -> None:
    during, program, child, _ = forked_over(READ)
    assert during.schedule.born == [child.task]
    assert during.released == []
    during.store(program)
    assert during.released == [child.task]
    assert during.schedule.born == []
    assert not during.schedule.is_waiting


def test_a_child_of_who_has_nothing_in_flight_does_not_wait() -> None:
    during = Run()
    program, other = during.program(), during.program()
    during.begin(other)
    during.fork(program)
    assert during.schedule.born == []


def test_children_wait_for_the_last_transfer_at_risk() -> None:
    during = Run()
    program = during.program()
    during.begin(program, pages=(0,))
    during.begin(program, pages=(1,))
    child = during.fork(program)
    during.store(program, page=0)
    assert during.released == []
    during.store(program, page=1)
    assert during.released == [child.task]


# Time -----------------------------------------------------------------------------------------


def test_waiting_for_a_fork_has_an_end(clock: Clock) -> None:
    during = Run()
    flight = during.begin(during.program())
    assert not during.schedule.tick()
    clock.now += WAIT_S * 0.99
    assert not during.schedule.tick()
    assert not during.is_over(flight)
    clock.now += WAIT_S * 0.02
    assert during.schedule.tick()
    assert during.is_over(flight)
    assert not during.schedule.tick()


def test_after_the_fork_the_wait_is_longer(clock: Clock) -> None:
    during, _, child, flight = forked_over(READ)
    clock.now += HOLD_MS / 1000 * 0.99
    during.schedule.tick()
    assert not during.is_over(flight)
    clock.now += HOLD_MS / 1000 * 0.02
    assert during.schedule.tick()
    assert during.is_over(flight)
    assert during.released == [child.task]


def waits_in_vain(during: Run, program: Program, clock: Clock) -> float:
    """How long a transfer waits for a fork that does not come."""
    flight = during.begin(program)
    if during.is_over(flight):
        return 0.0
    waited = flight.deadline - clock.now
    clock.now = flight.deadline
    assert during.schedule.tick()
    assert during.is_over(flight)
    return waited


def test_waiting_in_vain_is_given_up_sooner_each_time(clock: Clock) -> None:
    during = Run()
    program = during.program()
    waited = [waits_in_vain(during, program, clock) for _ in range(PATIENCE + 2)]
    assert waited == pytest.approx([*(WAIT_S / 2**i for i in range(PATIENCE)), 0, 0])


def test_a_fork_makes_patient_again(clock: Clock) -> None:
    during = Run()
    program = during.program()
    for _ in range(PATIENCE):
        waits_in_vain(during, program, clock)
    assert waits_in_vain(during, program, clock) == 0
    during.fork(program)
    for page in range(3):
        during.store(program, page)
    assert waits_in_vain(during, program, clock) == pytest.approx(WAIT_S)


def test_patience_is_that_of_a_family(clock: Clock) -> None:
    during = Run()
    program, cousin, stranger = during.program(), during.program(), during.program(family=2)
    waits_in_vain(during, program, clock)
    assert waits_in_vain(during, cousin, clock) == pytest.approx(WAIT_S / 2)
    assert waits_in_vain(during, stranger, clock) == pytest.approx(WAIT_S)


def test_waiting_over_a_fork_in_vain_costs_no_patience(clock: Clock) -> None:
    during, program, child, flight = forked_over(READ)
    clock.now = flight.deadline
    during.schedule.tick()
    during.exit(child)
    assert waits_in_vain(during, program, clock) == pytest.approx(WAIT_S)


def test_a_hold_of_nothing_is_immediate() -> None:
    during = Run(hold_ms=0)
    assert during.is_over(during.begin(during.program()))


def test_reports_are_awaited_for_ever_unless_something_is_held() -> None:
    during = Run()
    assert during.schedule.timeout_ms(7) is None
    flight = during.begin(during.program())
    assert during.schedule.timeout_ms(7) == 7
    during.schedule.end(flight)
    assert during.schedule.timeout_ms(7) is None


# Nothing else can run -------------------------------------------------------------------------


def test_children_go_first_and_then_transfers_end() -> None:
    during, _, child, flight = forked_over(READ)
    during.schedule.nothing_else_can_run()
    assert during.released == [child.task]
    assert not during.is_over(flight)
    during.schedule.nothing_else_can_run()
    assert during.is_over(flight)
    assert during.released == [child.task]


def test_transfers_of_all_end_in_their_order() -> None:
    during = Run()
    flights = [during.begin(during.program()) for _ in range(3)]
    during.schedule.nothing_else_can_run()
    assert during.ended == flights
    during.schedule.nothing_else_can_run()
    assert during.ended == flights


# Ends of others -------------------------------------------------------------------------------


def test_draining_ends_the_transfers_of_one_address_space() -> None:
    during = Run()
    program, other = during.program(), during.program()
    mine = [during.begin(program, pages=(0,)), during.begin(program, pages=(1,))]
    theirs = during.begin(other)
    during.schedule.drain(program.mm)
    assert during.ended == mine
    assert not during.is_over(theirs)


def test_when_the_child_is_gone_nothing_can_part_the_page() -> None:
    during, _, child, flight = forked_over(READ)
    during.exit(child)
    assert during.is_over(flight)
    assert not flight.written


def test_when_one_child_of_two_is_gone_the_other_still_can() -> None:
    during, program, child, flight = forked_over(READ)
    sister = during.fork(program)
    during.exit(child)
    assert not during.is_over(flight)
    during.exit(sister)
    assert during.is_over(flight)


def test_when_its_own_process_is_gone_a_transfer_is_over() -> None:
    during, program, child, flight = forked_over(READ)
    during.exit(program)
    assert during.is_over(flight)
    assert during.released == [child.task]


def test_when_a_stranger_is_gone_nothing_ends() -> None:
    during, _, _, flight = forked_over(READ)
    during.exit(during.program())
    assert not during.is_over(flight)


def test_a_write_that_its_holder_left_ends_with_the_last_who_has_the_page() -> None:
    during, program, child, flight = forked_over(WRITE)
    sister = during.fork(program)
    during.store(program)
    during.exit(sister)
    assert not during.is_over(flight)
    during.exit(child)
    assert during.is_over(flight)


def test_a_write_that_its_holder_left_outlives_a_second_fork() -> None:
    during, program, child, flight = forked_over(WRITE)
    during.store(program)
    during.fork(program)
    assert not during.is_over(flight)
    during.store(child)
    assert during.is_over(flight)


def test_what_is_over_is_not_ended_again() -> None:
    during = Run()
    flight = during.begin(during.program())
    during.schedule.end(flight)
    during.schedule.end(flight)
    assert during.ended == [flight]


@pytest.mark.parametrize("policy", [SHARES, COPIES])
def test_all_is_given_back_in_the_end(policy: str) -> None:
    during = Run(policy=policy)
    program = during.program()
    during.begin(program, pages=(0, 1))
    during.begin(program, WRITE, (2,))
    child = during.fork(program)
    during.store(child, page=1)
    during.store(program, page=2)
    for _ in range(2):
        during.schedule.nothing_else_can_run()
    assert not during.schedule.is_waiting
    during.exit(child)
    during.exit(program)
    assert during.world.kernel.io.holds() == {}
    during.world.kernel.check(at_rest=True)


# random ---------------------------------------------------------------------------------------


def holds_of(seed: int, clock: Clock, nr: int = 40) -> list[float]:
    """How long each of some transfers in a row is in flight."""
    during = Run("random", seed=seed)
    program = during.program()
    holds = []
    for _ in range(nr):
        flight = during.begin(program)
        holds.append(0.0 if during.is_over(flight) else flight.deadline - clock.now)
        during.schedule.end(flight)
    return holds


def seed_of_a_late_one() -> int:
    """A seed whose first transfer is not immediate."""
    return next(seed for seed in range(100) if random.Random(seed).random() > 0.6)


def test_random_moments_are_those_of_the_seed(clock: Clock) -> None:
    assert holds_of(5, clock) == holds_of(5, clock)
    assert holds_of(5, clock) != holds_of(6, clock)


def test_half_of_the_random_ones_are_immediate(clock: Clock) -> None:
    holds = [hold for seed in range(25) for hold in holds_of(seed, clock)]
    immediate = sum(hold == 0 for hold in holds) / len(holds)
    assert 0.45 < immediate < 0.55
    assert 0.9 * WAIT_S < max(holds) <= WAIT_S


def test_a_random_one_ends_at_its_moment(clock: Clock) -> None:
    during = Run("random", seed=seed_of_a_late_one())
    flight = during.begin(during.program(nr_tasks=1))  # that it is alone does not matter
    assert not during.is_over(flight)
    clock.now = flight.deadline
    during.schedule.tick()
    assert during.is_over(flight)


def test_a_random_one_does_not_wait_for_a_write() -> None:
    during = Run("random", seed=seed_of_a_late_one())
    program = during.program()
    flight = during.begin(program)
    during.fork(program)
    during.store(program)
    assert not during.is_over(flight)
    assert during.schedule.born == []
    assert (flight.over_fork, flight.written) == (True, True)


def of_shared_pages(during: Run) -> Callable[[], Flight]:
    """Transfers of pages that an earlier fork shared."""
    program = during.program()
    during.fork(program)
    return lambda: during.begin(program, WRITE)


def test_half_of_the_random_ones_are_immediate_when_pages_are_shared_too() -> None:
    during = Run("random", seed=1)
    begin = of_shared_pages(during)
    over = [during.is_over(begin()) for _ in range(100)]
    assert 25 < sum(over) < 75


def test_a_fork_does_not_change_a_random_moment() -> None:
    during = Run("random", seed=seed_of_a_late_one())
    program = during.program()
    flight = during.begin(program)
    moment = flight.deadline
    during.fork(program)
    assert flight.deadline == moment
