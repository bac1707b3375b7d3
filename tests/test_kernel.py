"""The kernel's calls: what they refuse, and the rules its operations keep."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from tests.common import (
    ALL_POLICIES,
    DIRECT_READS_RETURN,
    MMAP_SEM_HELD,
    SECTOR_POLICIES,
    Process,
    TinyWorld,
    one_page,
    run_steps,
    two_mms,
)
from tests.each import each
from uemu.abi import MADV_DONTFORK, MADV_DONTNEED, PAGE_SIZE, PROT_READ, Direction
from uemu.errors import Fault
from uemu.events import DeviceWrote, Loaded, Stored
from uemu.mm.mmu import PageFault
from uemu.step import Access, Cell, Op, RecordingCpu, Step, run

every_policy = each("policy", ALL_POLICIES)


# Addresses and lengths ----------------------------------------------------------------------


def test_mmap_rounds_up_and_leaves_a_hole_behind() -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    one = run(world.kernel.mmap(parent.cpu, parent.mm, 1))
    two = run(world.kernel.mmap(parent.cpu, parent.mm, PAGE_SIZE + 1))
    assert two == one + 2 * PAGE_SIZE
    parent.store(two + 2 * PAGE_SIZE - 1, b"x")
    with pytest.raises(Fault):
        parent.store(one + PAGE_SIZE, b"x")


@pytest.mark.parametrize("length", [0, -1])
def test_mmap_of_nothing_is_refused(length: int) -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    with pytest.raises(Fault) as caught:
        run(world.kernel.mmap(parent.cpu, parent.mm, length))
    assert caught.value.errno == errno.EINVAL


def test_mmap_of_more_than_there_is_room_for_is_refused() -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    with pytest.raises(Fault) as caught:
        run(world.kernel.mmap(parent.cpu, parent.mm, 1 << 60))
    assert caught.value.errno == errno.ENOMEM
    assert parent.mm.vmas == []


@pytest.mark.parametrize(("off", "length"), [(1, PAGE_SIZE), (0, 0), (0, -PAGE_SIZE)])
@pytest.mark.parametrize("call", ["munmap", "mprotect", "madvise"])
def test_calls_on_pages_want_an_aligned_address_and_a_length(
    call: str, off: int, length: int
) -> None:
    world, parent, buf = one_page()
    args = [] if call == "munmap" else [PROT_READ if call == "mprotect" else MADV_DONTFORK]
    with pytest.raises(Fault) as caught:
        run(getattr(world.kernel, call)(parent.cpu, parent.mm, buf + off, length, *args))
    assert (caught.value.errno, caught.value.addr) == (errno.EINVAL, buf + off)


def test_a_length_is_rounded_up_to_pages() -> None:
    world, parent, buf = one_page()
    run(world.kernel.munmap(parent.cpu, parent.mm, buf, 1))
    with pytest.raises(Fault):
        parent.load(buf)


def test_unknown_advice_is_refused() -> None:
    _, parent, buf = one_page()
    with pytest.raises(Fault, match=r"madvise 99 under linux-2\.6\.29"):
        parent.madvise(buf, 99)


def test_advice_about_a_hole_is_refused() -> None:
    _, parent, buf = one_page()
    with pytest.raises(Fault) as caught:
        parent.madvise(buf, MADV_DONTFORK, nr_pages=2)
    assert caught.value.errno == errno.ENOMEM


# I/O -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("off", "length"), [(1, 512), (0, 511), (256, 512)])
def test_o_direct_wants_multiples_of_512(off: int, length: int) -> None:
    _, parent, buf = one_page()
    with pytest.raises(Fault) as caught:
        parent.read_disk(buf + off, length)
    assert caught.value.errno == errno.EINVAL


def test_vmsplice_takes_any_bytes_and_only_reads() -> None:
    world, parent, buf = one_page()
    pipe = parent.write_disk(buf + 1, 3, api="vmsplice")
    assert world.device_reads(pipe, 3) == b"III"
    with pytest.raises(ValueError, match="a device cannot write through it"):
        parent.read_disk(buf, 512, api="vmsplice")


def test_an_empty_buffer_is_refused() -> None:
    _, parent, buf = one_page()
    with pytest.raises(Fault) as caught:
        parent.read_disk(buf, 0)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("api", ["rdma", "io_uring", "vfio"])
def test_what_registers_cannot_start_a_transfer(api: str) -> None:
    _, parent, buf = one_page()
    with pytest.raises(ValueError, match="use register"):
        parent.read_disk(buf, 512, api=api)


@every_policy
def test_a_refused_buffer_leaves_nothing_held(policy: str) -> None:
    world, parent, buf = one_page(policy)
    parent.munmap(buf)
    with pytest.raises(Fault):
        parent.read_disk(buf)
    with pytest.raises(Fault):
        parent.register(buf)
    assert world.kernel.io.dma.live == {}
    assert world.kernel.io.holds() == {}
    world.kernel.check(at_rest=True)


@every_policy
def test_a_transfer_is_completed_once(policy: str) -> None:
    world, parent, buf = one_page(policy)
    transfer = parent.read_disk(buf)
    world.complete(transfer)
    with pytest.raises(ValueError, match="is over"):
        world.complete(transfer)
    world.kernel.check(at_rest=True)


@pytest.mark.parametrize(
    "policy", [name for name in SECTOR_POLICIES if name != "linux-2.4-dio-pglock"]
)  # there the second waits for the first
def test_two_io_over_one_page_are_held_and_released_apart(policy: str) -> None:
    world, parent, buf = one_page(policy)
    one = parent.read_disk(buf, 512)
    two = parent.read_disk(buf + 512, 512)
    count = parent.page(buf).refcount.peek()
    world.device_writes(one, b"1")
    world.complete(one)
    assert parent.page(buf).refcount.peek() == 1 + (count - 1) // 2
    world.device_writes(two, b"2")
    world.complete(two)
    assert (parent.load(buf), parent.load(buf + 512)) == (b"1", b"2")
    assert parent.page(buf).refcount.peek() == 1
    assert world.kinds() == set()


def test_a_device_write_is_announced_frame_by_frame() -> None:
    world = TinyWorld("linux-6.5")
    parent = world.process()
    buf = parent.mmap(2)
    transfer = parent.read_disk(buf + PAGE_SIZE - 512, 1024)
    world.device_writes(transfer, b"D" * 1024)
    assert [(e.offset, len(e.data)) for e in world.log(DeviceWrote)] == [
        (PAGE_SIZE - 512, 512),
        (0, 512),
    ]


# Loads and stores --------------------------------------------------------------------------------


def test_an_access_over_a_page_boundary_is_one_per_page() -> None:
    world = TinyWorld("linux-2.6.29")
    parent = world.process()
    buf = parent.mmap(2)
    parent.store(buf + PAGE_SIZE - 2, b"abcd")
    assert parent.load(buf + PAGE_SIZE - 3, 6) == b"\0abcd\0"
    assert [(event.addr, event.data) for event in world.log(Stored)] == [
        (buf + PAGE_SIZE - 2, b"ab"),
        (buf + PAGE_SIZE, b"cd"),
    ]
    assert len(world.log(Loaded)) == 2


# The rules of `uemu.step` ------------------------------------------------------------------------

Begin = Callable[[TinyWorld, Process, int], Op[Any]]

OPERATIONS: dict[str, Begin] = {
    "fork": lambda w, p, buf: w.kernel.fork(p.cpu, p.mm),
    "mmap": lambda w, p, buf: w.kernel.mmap(p.cpu, p.mm, PAGE_SIZE),
    "munmap": lambda w, p, buf: w.kernel.munmap(p.cpu, p.mm, buf, PAGE_SIZE),
    "mprotect": lambda w, p, buf: w.kernel.mprotect(p.cpu, p.mm, buf, PAGE_SIZE, PROT_READ),
    "dontfork": lambda w, p, buf: w.kernel.madvise(p.cpu, p.mm, buf, PAGE_SIZE, MADV_DONTFORK),
    "dontneed": lambda w, p, buf: w.kernel.madvise(p.cpu, p.mm, buf, PAGE_SIZE, MADV_DONTNEED),
    "fault": lambda w, p, buf: w.kernel.fault(p.cpu, p.mm, buf, write=True),
    "store": lambda w, p, buf: w.kernel.user.store(p.cpu, p.mm, buf, b"x"),
    "load": lambda w, p, buf: w.kernel.user.load(p.cpu, p.mm, buf, 1),
    "o_direct": lambda w, p, buf: w.kernel.io.dio_submit(
        p.cpu, p.mm, [(buf, PAGE_SIZE)], Direction.FROM_DEVICE, "o_direct"
    ),
    "rdma": lambda w, p, buf: w.kernel.io.register(p.cpu, p.mm, buf, 512, True, "rdma"),
    "transfer_write": lambda w, p, buf: w.kernel.io.dma_write(p.cpu, p.read_disk(buf), 0, b"D"),
    "transfer_read": lambda w, p, buf: w.kernel.io.dma_read(p.cpu, p.write_disk(buf), 0, 1),
    "dma_write": lambda w, p, buf: w.kernel.io.dma_write(p.cpu, p.register(buf), 0, b"D"),
    "dma_read": lambda w, p, buf: w.kernel.io.dma_read(p.cpu, p.register(buf), 0, 1),
    "dio_complete": lambda w, p, buf: w.kernel.io.dio_complete(p.cpu, p.read_disk(buf)),
    "release": lambda w, p, buf: w.kernel.io.release(p.cpu, p.register(buf)),
    "exit": lambda w, p, buf: w.kernel.exit_mm(p.cpu, p.mm),
}


@every_policy
@pytest.mark.parametrize("name", OPERATIONS)
def test_nothing_is_touched_before_the_first_step(name: str, policy: str) -> None:
    """R2, which an explorer relies on."""
    world, parent, buf = one_page(policy)
    cpu = parent.cpu = RecordingCpu("recording")
    world.mmu.run_on(cpu, parent.mm.id)
    op = OPERATIONS[name](world, parent, buf)
    cpu.take_accesses()
    before = len(world.events.log())
    next(op)
    assert cpu.take_accesses() == Access()
    assert len(world.events.log()) == before
    op.close()


DIRECT_READS = ("o_direct", "transfer_write", "dio_complete")
WITH_A_CHILD = [
    (name, policy)
    for name in OPERATIONS
    for policy in (DIRECT_READS_RETURN if name in DIRECT_READS else ALL_POLICIES)
]


@each(("name", "policy"), WITH_A_CHILD)
def test_an_operation_leaves_no_lock_behind(name: str, policy: str) -> None:
    world, parent, _, buf = two_mms(policy)
    world.cpu_of(parent.mm)
    run_steps(OPERATIONS[name](world, parent, buf))
    readers = len(world.kernel.io.dma.live) if policy == MMAP_SEM_HELD else 0
    assert not parent.mm.mmap_lock.writer.peek()
    assert parent.mm.mmap_lock.readers.peek() == readers
    assert parent.mm.page_table_lock.is_free()
    assert not parent.cpu.irqs_off.peek()
    world.kernel.check(at_rest=not world.hooks.leaks())


def conditions(world: TinyWorld, step: Step) -> set[tuple[Any, ...]]:
    """The cells a step waits for: those that, busy, make it wait."""
    busy: list[tuple[Cell[Any], Any]] = []
    for mm in world.kernel.mech.mms.values():
        busy += [(mm.mmap_lock.writer, True), (mm.mmap_lock.readers, 1)]
        busy += [(mm.page_table_lock.held, True)]
        busy += [(cpu.irqs_off, True) for cpu in world.mmu.cpus_of(mm.id)]
    waited_for = set()
    for cell, value in busy:
        free, cell.value = cell.value, value
        if not step.is_enabled():
            waited_for.add(cell.name)
        cell.value = free
    return waited_for


@each(("name", "policy"), WITH_A_CHILD)
def test_a_step_that_waited_touches_what_it_waited_for(name: str, policy: str) -> None:
    """R4, which an explorer relies on, too."""
    world, parent, _, buf = two_mms(policy)
    cpu = parent.cpu = RecordingCpu("recording")
    world.mmu.run_on(cpu, parent.mm.id)
    op = OPERATIONS[name](world, parent, buf)
    waits = 0
    step: Step | None = next(op)
    while step is not None:
        waited_for = conditions(world, step)
        waits += bool(waited_for)
        cpu.take_accesses()
        step = next(op, None)
        reads, writes, _ = cpu.take_accesses()
        assert waited_for <= reads | writes
    assert waits or name in ("load", "transfer_write", "transfer_read")


def test_a_translation_that_faults_is_a_value_and_no_exception() -> None:
    world, parent, buf = one_page()
    found = world.mmu.translate(parent.cpu, parent.mm, buf + PAGE_SIZE, write=False)
    assert found == PageFault(buf + PAGE_SIZE, False)
