"""Hardware of real processes, and somebody to run on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from uemu.abi import PAGE_SIZE
from uemu.live.puppet import PuppetThread
from uemu.live.stepped.hardware import LiveHardware
from uemu.mm.mm_struct import MMAP_BASE, MmStruct
from uemu.mm.pte import Pte
from uemu.step import Cpu

T = TypeVar("T")


class Bench:
    """An address space with three pages and two CPUs that run it, all really there.

    Attributes:
        base: the address of the first page.
        pfns: two frames.
    """

    def __init__(self, hardware: LiveHardware) -> None:
        self.hardware = hardware
        self.mm = MmStruct(0, "parent")
        self.one, self.two = Cpu("one"), Cpu("two")
        self.base = MMAP_BASE
        self.mm.next_addr = self.base + 3 * PAGE_SIZE
        self.pfns = [hardware.frames.alloc(self.base) for _ in range(2)]
        for pfn in self.pfns:
            hardware.frames.zero(pfn)
        self.call(lambda: hardware.begin(self.mm, None))
        for cpu in (self.one, self.two):
            self.run_on(cpu)

    def call(self, fn: Callable[[], T]) -> T:
        """Run on the tracer thread."""
        return self.hardware.call(fn)

    def run_on(self, cpu: Cpu) -> None:
        self.call(lambda: self.hardware.run_on(cpu, self.mm))

    def set(self, pfn: int | None, *, write: bool = True, page: int = 0) -> None:
        """Change the page table, and nothing else."""
        cell = self.mm.pte(self.base + page * PAGE_SIZE)
        cell.value = None if pfn is None else Pte(pfn, write)

    def thread(self, cpu: Cpu) -> PuppetThread:
        return self.hardware.processes.of_cpu(cpu)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Both CPUs have touched nothing yet."""
    with LiveHardware() as hardware:
        yield Bench(hardware)
