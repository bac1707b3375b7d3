"""Tiny worlds to test in: one policy, a process or two, a page, all in one task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from uemu.abi import PAGE_SIZE, Direction
from uemu.dma.engine import Io, Registration, Transfer
from uemu.events import EventBus
from uemu.kernel import Kernel
from uemu.mm.frames import BytesStore
from uemu.mm.hooks import PolicyHooks
from uemu.mm.mm_struct import MmStruct
from uemu.mm.mmu import SimulatedMmu
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.oracle.judge import Oracle
from uemu.policy.registry import make_policy
from uemu.scenario.actions import HPAGE_NR
from uemu.scenario.registry import find_scenario
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill
from uemu.step import Cpu, Op, Step, run

T = TypeVar("T")
E = TypeVar("E")

ALL_POLICIES = (
    "linux-2.4-dio-pglock",
    "linux-2.6.7",
    "linux-2.6.29",
    "redhat-2.6.18",
    "arcangeli-2009-v1",
    "arcangeli-2009-page-multiple",
    "arcangeli-2009-v2",
    "piggin-2009-vma",
    "piggin-2009-page",
    "piggin-2009-one-reader",
    "torvalds-2009-mmap-sem",
    "torvalds-2009-fork-lock",
    "torvalds-2009-directed-cow",
    "torvalds-2009-page-count",
    "kosaki-2009-directio-sem",
    "kosaki-2009-pinned-sem",
    "kamezawa-2009-dio-lock",
    "kosaki-2009-dont-unmap",
    "linux-4.19",
    "linux-5.8",
    "linux-5.9",
    "linux-5.11",
    "hubbard-2021-locked-pages",
    "kara-2021-unmap-if-not-pinned",
    "hildenbrand-2021-model1",
    "hildenbrand-2021-model2",
    "linux-5.19",
    "linux-6.5",
)
"""Written out, so that a test that runs over all of them shows who was added."""

FORK_WAITS = (
    "torvalds-2009-mmap-sem",
    "torvalds-2009-fork-lock",
    "torvalds-2009-page-count",
    "kosaki-2009-directio-sem",
    "kosaki-2009-pinned-sem",
)
"""Those whose fork waits until direct I/O is over."""

FORK_WAITS_FOR_ALL = ("torvalds-2009-mmap-sem", "torvalds-2009-fork-lock")
"""Those whose fork waits until nobody holds a page, whoever that is."""

MMAP_SEM_HELD = "torvalds-2009-mmap-sem"
"""Whose I/O holds mmap_sem, so that munmap and the like wait for it, too."""

DIRECT_READS_RETURN = tuple(name for name in ALL_POLICIES if name != "kamezawa-2009-dio-lock")
"""Those whose direct reads break COW by themselves, whatever the other process does."""

SECTOR_POLICIES = tuple(name for name in ALL_POLICIES if name != "arcangeli-2009-page-multiple")
"""Those whose O_DIRECT takes less than a page."""


def exists(scenario: str, policy: str) -> bool:
    """Whether a scenario can be under a policy, both by name."""
    return find_scenario(scenario).not_applicable(make_policy(policy)) is None


def run_steps(op: Op[T]) -> tuple[T, list[str]]:
    """Run an operation to its end; its result and ``fn`` of each step it took."""
    taken: list[str] = []
    while True:
        try:
            step: Step = next(op)
        except StopIteration as stop:
            result: T = stop.value
            return result, taken
        assert step.is_enabled(), f"{step.fn} waits: {step.what}"
        taken.append(step.fn)


@dataclass
class Process:
    """An address space and the one CPU that runs it."""

    world: TinyWorld
    mm: MmStruct
    cpu: Cpu

    def store(self, addr: int, data: bytes) -> None:
        """Store to memory."""
        run(self.world.kernel.user.store(self.cpu, self.mm, addr, data))

    def load(self, addr: int, length: int = 1) -> bytes:
        """Load from memory."""
        return run(self.world.kernel.user.load(self.cpu, self.mm, addr, length))

    def mmap(self, nr_pages: int = 1, *, shared: bool = False, huge: str = "") -> int:
        """Map anonymous memory, private or shared; a huge page has 4 pages."""
        size = nr_pages * PAGE_SIZE
        return run(self.world.kernel.mmap(self.cpu, self.mm, size, shared=shared, huge=huge))

    def mprotect(self, addr: int, prot: int, nr_pages: int = 1) -> None:
        """Change the protection of pages."""
        run(self.world.kernel.mprotect(self.cpu, self.mm, addr, nr_pages * PAGE_SIZE, prot))

    def madvise(self, addr: int, advice: int, nr_pages: int = 1) -> None:
        """Give advice about pages."""
        run(self.world.kernel.madvise(self.cpu, self.mm, addr, nr_pages * PAGE_SIZE, advice))

    def munmap(self, addr: int, nr_pages: int = 1) -> None:
        """Unmap pages."""
        run(self.world.kernel.munmap(self.cpu, self.mm, addr, nr_pages * PAGE_SIZE))

    def fork(self, name: str = "child") -> Process:
        """Fork; the child has a CPU of its own."""
        mm = run(self.world.kernel.fork(self.cpu, self.mm, name))
        return self.world.process(mm)

    def exit(self) -> None:
        """End the process."""
        run(self.world.kernel.exit_mm(self.cpu, self.mm))

    def pte(self, addr: int) -> Pte:
        """The entry for the page of ``addr``, which must be present."""
        entry = self.mm.shows(addr & ~(PAGE_SIZE - 1))
        assert isinstance(entry, Pte)
        return entry

    def page(self, addr: int) -> Page:
        """The page mapped at ``addr``."""
        return self.world.kernel.mech.page_of(self.pte(addr))

    def read_disk(self, addr: int, length: int = PAGE_SIZE, api: str = "o_direct") -> Transfer:
        """Submit a read from a device into memory."""
        kernel, way = self.world.kernel, Direction.FROM_DEVICE
        return run(kernel.io.dio_submit(self.cpu, self.mm, [(addr, length)], way, api))

    def write_disk(self, addr: int, length: int = PAGE_SIZE, api: str = "o_direct") -> Transfer:
        """Submit a write from memory to a device."""
        kernel, way = self.world.kernel, Direction.TO_DEVICE
        return run(kernel.io.dio_submit(self.cpu, self.mm, [(addr, length)], way, api))

    def register(self, addr: int, *, writable: bool = True, api: str = "rdma") -> Registration:
        """Register the page at ``addr``."""
        kernel = self.world.kernel
        return run(kernel.io.register(self.cpu, self.mm, addr, PAGE_SIZE, writable, api))


class TinyWorld:
    """A kernel on the simulated MMU, its oracle, and every event.

    Attributes:
        events: with a log.
    """

    def __init__(
        self,
        policy: str | PolicyHooks,
        *,
        ipi_waits_for_gup_fast: bool = True,
        pagevecs: bool = False,
    ) -> None:
        self.hooks = make_policy(policy) if isinstance(policy, str) else policy
        self.events = EventBus(keep=100_000)
        self.oracle = Oracle(self.events)
        self.mmu = SimulatedMmu()
        self.kernel = Kernel(
            self.hooks,
            BytesStore(),
            self.mmu,
            self.events,
            ipi_waits_for_gup_fast=ipi_waits_for_gup_fast,
            pagevecs=pagevecs,
            hpage_nr=HPAGE_NR,
        )
        self.device = Cpu("device")

    def process(self, mm: MmStruct | None = None, name: str = "parent") -> Process:
        """A process with nothing mapped, or the one that runs ``mm``."""
        mm = mm or self.kernel.mm_create(name)
        return Process(self, mm, self.cpu_of(mm))

    def cpu_of(self, mm: MmStruct) -> Cpu:
        """One more CPU that runs threads of ``mm``."""
        cpu = Cpu(f"{mm.name}.{len(self.mmu.cpus_of(mm.id))}")
        self.mmu.run_on(cpu, mm.id)
        return cpu

    def device_writes(self, io: Io, data: bytes, start: int = 0) -> None:
        """The device stores into a buffer."""
        run(self.kernel.io.dma_write(self.device, io, start, data))

    def device_reads(self, io: Io, length: int = 1, start: int = 0) -> bytes:
        """The device loads from a buffer."""
        return run(self.kernel.io.dma_read(self.device, io, start, length))

    def complete(self, transfer: Transfer) -> None:
        """The request is over."""
        run(self.kernel.io.dio_complete(self.device, transfer))

    def release(self, io: Registration) -> None:
        """A registration is over."""
        run(self.kernel.io.release(self.device, io))

    def kinds(self) -> set[str]:
        """What was violated so far."""
        return {violation.kind for violation in self.oracle.violations}

    def log(self, kind: type[E]) -> list[E]:
        """The events of a class so far."""
        return [event for event in self.events.log() if isinstance(event, kind)]


def made_up(order: str, **scripts: Callable[[Stage], Script]) -> Scenario:
    """A scenario out of scripts at hand, over the usual two pages; ``child`` is a child."""
    children = {name: scripts.pop(name) for name in list(scripts) if name == "child"}
    return Scenario("made-up", "made up", map_and_fill, scripts, children, order)


def one_page(policy: str | PolicyHooks = "linux-2.6.29") -> tuple[TinyWorld, Process, int]:
    """A process that mapped one page and filled it with ``I``; its address."""
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap()
    parent.store(buf, b"I" * PAGE_SIZE)
    return world, parent, buf


def two_mms(
    policy: str | PolicyHooks = "linux-2.6.29",
) -> tuple[TinyWorld, Process, Process, int]:
    """As `one_page`, and a child that fork gave the page to."""
    world, parent, buf = one_page(policy)
    return world, parent, parent.fork(), buf
