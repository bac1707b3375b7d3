"""What executes stores and loads: simulated CPUs through a TLB, and looks that leave no trace."""

from __future__ import annotations

from typing import Any

import pytest

from tests.common import one_page
from uemu.abi import PAGE_SIZE
from uemu.events import Stored
from uemu.kernel.cpus import CpuPort, SimulatedCpus
from uemu.mm.frames import BytesStore
from uemu.mm.mm_struct import MmStruct
from uemu.mm.mmu import PageFault, SimulatedMmu
from uemu.mm.pte import Pte
from uemu.step import Cpu

BASE = 0x10000


class World:
    """Two frames, one of them mapped, and a CPU that stored to it."""

    def __init__(self) -> None:
        self.frames = BytesStore()
        self.first, self.second = (self.frames.alloc(BASE) for _ in range(2))
        self.cpus: CpuPort = SimulatedCpus(self.frames, SimulatedMmu())
        self.cpu, self.mm = Cpu("cpu"), MmStruct(0, "parent")
        self.mm.pte(BASE).value = Pte(self.first, True)
        assert self.cpus.store(self.cpu, self.mm, BASE + 8, b"old") == self.first
        self.mm.pte(BASE).value = Pte(self.second, False)


def test_a_stale_translation_is_used_and_a_fresh_one_is_not() -> None:
    world = World()
    assert world.cpus.load(world.cpu, world.mm, BASE + 8, 3) == (world.first, b"old")
    other = Cpu("other")
    assert world.cpus.load(other, world.mm, BASE + 8, 3) == (world.second, bytes(3))
    assert world.cpus.store(other, world.mm, BASE, b"x") == PageFault(BASE, True)
    assert world.frames.read(world.second, 0, 1) == b"\0"


def test_a_load_of_what_is_not_mapped_traps() -> None:
    world = World()
    addr = BASE + PAGE_SIZE
    assert world.cpus.load(world.cpu, world.mm, addr, 1) == PageFault(addr, False)


def test_a_look_goes_through_the_entry_and_changes_no_translation() -> None:
    world = World()
    world.frames.write(world.second, 8, b"new")
    pte = world.mm.pte(BASE).value
    assert isinstance(pte, Pte)
    assert world.cpus.look(world.mm, BASE + 8, pte, 3) == (world.second, b"new")
    assert world.cpus.load(world.cpu, world.mm, BASE + 8, 3) == (world.first, b"old")


def test_where_cpus_are_real_it_only_looks() -> None:
    frames, other_mmu, mm = BytesStore(), object(), MmStruct(0, "parent")
    mmu: Any = other_mmu
    cpus = SimulatedCpus(frames, mmu)
    assert cpus.look(mm, BASE, Pte(frames.alloc(BASE), False), 2) == (0, bytes(2))
    with pytest.raises(TypeError, match="real CPUs"):
        cpus.load(Cpu("cpu"), mm, BASE, 1)


class Elsewhere(SimulatedCpus):
    """CPUs that say that every store went to frame 77."""

    def store(self, cpu: Cpu, mm: MmStruct, addr: int, data: bytes) -> int | PageFault:
        found = super().store(cpu, mm, addr, data)
        return found if isinstance(found, PageFault) else 77


def test_the_events_tell_what_the_cpus_did() -> None:
    world, parent, buf = one_page()
    world.kernel.user._cpus = Elsewhere(world.kernel.frames, world.mmu)
    parent.store(buf, b"x")
    assert world.log(Stored)[-1] == Stored(parent.cpu.name, parent.mm.id, buf, 77, b"x")
