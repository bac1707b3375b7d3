"""Devices as a test drives them: transfers, registrations, and what they refuse."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import uemu
from uemu.abi import Direction

pytestmark = pytest.mark.needs_ptrace

PAGE = uemu.PAGE_SIZE
READ, WRITE = uemu.DMA_FROM_DEVICE, uemu.DMA_TO_DEVICE


@pytest.fixture
def buf(process: uemu.Process) -> int:
    """Four pages full of ``I``."""
    buf = process.mmap(4 * PAGE)
    process.store(buf, b"I" * 4 * PAGE)
    return buf


# Transfers


@pytest.mark.parametrize(("offset", "length"), [(0, 512), (3584, 1024), (512, 3 * PAGE)])
def test_a_device_writes_memory(
    machine: uemu.Machine, process: uemu.Process, buf: int, offset: int, length: int
) -> None:
    read = machine.dma.start(process, buf + offset, length, direction=READ)
    assert read.in_flight
    assert read.complete(b"D" * length) == b""
    assert not read.in_flight
    assert process.load(buf, 4 * PAGE) == (b"I" * offset + b"D" * length).ljust(4 * PAGE, b"I")


def test_a_device_reads_memory(machine: uemu.Machine, process: uemu.Process, buf: int) -> None:
    process.store(buf + 511, b"ab")
    write = machine.dma.start(process, buf, 2 * PAGE, direction=WRITE)
    assert write.complete() == (b"I" * 511 + b"ab").ljust(2 * PAGE, b"I")
    assert not write.in_flight


def test_it_is_the_moment_of_completion_that_counts(
    machine: uemu.Machine, process: uemu.Process, buf: int
) -> None:
    write = machine.dma.start(process, buf, 512, direction=WRITE)
    process.store(buf, b"late")
    assert write.complete()[:5] == b"lateI"


def test_a_short_read_leaves_the_rest(
    machine: uemu.Machine, process: uemu.Process, buf: int
) -> None:
    read = machine.dma.start(process, buf, 512, direction=READ)
    read.complete(b"D" * 100)
    assert process.load(buf, 512) == b"D" * 100 + b"I" * 412


def test_a_device_reads_a_real_file(
    machine: uemu.Machine, process: uemu.Process, buf: int, tmp_path: Path
) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(512) + b"file" * 128 + b"end")
    fd = os.open(path, os.O_RDONLY)
    try:
        read = machine.dma.start(process, buf, 512, direction=READ)
        assert read.complete_from_file(fd, 512) == 512
        assert process.load(buf, 512) == b"file" * 128
        read = machine.dma.start(process, buf, 512, direction=READ)
        assert read.complete_from_file(fd, 1024) == 3
        assert process.load(buf, 512) == b"end" + (b"file" * 128)[3:]
    finally:
        os.close(fd)


def test_a_device_holds_the_frames_that_were_mapped(
    machine: uemu.Machine, process: uemu.Process, buf: int
) -> None:
    mapped = tuple(machine.frame_of(process, buf + page * PAGE) for page in range(4))
    read = machine.dma.start(process, buf + 512, 2 * PAGE, direction=READ)
    assert read.pfns == mapped[:3]
    process.fork()
    process.store(buf, b"x")
    assert machine.frame_of(process, buf) != mapped[0]
    assert read.pfns == mapped[:3]


def test_a_transfer_may_be_asked_for_by_a_thread_and_into_untouched_memory(
    machine: uemu.Machine, process: uemu.Process
) -> None:
    thread, buf = process.thread(), process.mmap(PAGE)
    machine.dma.start(thread, buf, 512, direction=READ).complete(b"D" * 512)
    assert process.load(buf, 513) == b"D" * 512 + b"\0"


def test_transfers_overlap(machine: uemu.Machine, process: uemu.Process, buf: int) -> None:
    reads = [machine.dma.start(process, buf + i * 512, 512, direction=READ) for i in range(8)]
    for number, read in reversed(list(enumerate(reads))):
        read.complete(b"%d" % number * 512)
    assert process.load(buf, PAGE) == b"".join(b"%d" % number * 512 for number in range(8))


def test_memory_that_was_unmapped_meanwhile_is_written_and_freed(
    machine: uemu.Machine, process: uemu.Process, buf: int
) -> None:
    read = machine.dma.start(process, buf, 512, direction=READ)
    process.munmap(buf, 4 * PAGE)
    assert machine.pfns == list(read.pfns)
    read.complete(b"D" * 512)
    assert machine.pfns == []
    assert machine.violations == []


# Registrations


def test_a_registration_is_used_until_it_is_released(
    machine: uemu.Machine, process: uemu.Process, buf: int
) -> None:
    region = machine.dma.register(process, buf + 100, 2 * PAGE)
    region.dma_write(0, b"first")
    region.dma_write(PAGE, b"second")
    assert process.load(buf + 100, 5) == b"first"
    assert region.dma_read(PAGE - 1, 8) == b"IsecondI"
    assert region.in_flight
    region.release()
    assert not region.in_flight
    assert len(machine.pfns) == 4


def test_a_read_only_registration_is_not_written(
    machine: uemu.Machine, process: uemu.Process, buf: int
) -> None:
    region = machine.dma.register(process, buf, PAGE, writable=False, api="vfio")
    assert region.dma_read(0, 2) == b"II"
    with pytest.raises(ValueError, match="read-only for the device"):
        region.dma_write(0, b"D")
    assert process.load(buf, 1) == b"I"


@pytest.mark.parametrize(
    ("api", "references"), [("o_direct", 1024), ("rdma", 1024), ("vmsplice", 1)]
)
def test_the_api_decides_the_kind_of_reference(api: str, references: int) -> None:
    with uemu.Machine("linux-6.5") as machine:
        process = machine.spawn()
        buf = process.mmap(PAGE)
        process.store(buf, b"x")
        held = (
            machine.dma.register(process, buf, PAGE, api=api)
            if api == "rdma"
            else machine.dma.start(process, buf, PAGE, direction=WRITE, api=api)
        )
        assert machine.page(held.pfns[0]).refcount == 1 + references


# What is refused


def fault(call: Callable[[], object]) -> tuple[int, int]:
    with pytest.raises(uemu.Fault) as refused:
        call()
    return refused.value.errno, refused.value.addr


@pytest.mark.parametrize(("offset", "length"), [(1, 512), (0, 511), (0, 0), (256, 256), (0, -512)])
def test_o_direct_wants_sectors(
    machine: uemu.Machine, process: uemu.Process, buf: int, offset: int, length: int
) -> None:
    assert fault(lambda: machine.dma.start(process, buf + offset, length, direction=READ)) == (
        errno.EINVAL,
        buf + offset,
    )


@pytest.mark.parametrize("length", [0, -1])
def test_a_registration_wants_a_length(
    machine: uemu.Machine, process: uemu.Process, buf: int, length: int
) -> None:
    assert fault(lambda: machine.dma.register(process, buf, length)) == (errno.EINVAL, buf)


@pytest.mark.parametrize("way", [READ, WRITE])
def test_what_is_not_mapped_is_not_held(
    machine: uemu.Machine, process: uemu.Process, buf: int, way: Direction
) -> None:
    def start(addr: int, length: int) -> uemu.Transfer:
        return machine.dma.start(process, addr, length, direction=way)

    end = buf + 4 * PAGE
    for addr in (0, end, -512, 1 << 63):
        with pytest.raises(uemu.Fault, match="EFAULT"):
            start(addr, 512)
    # The first page is mapped, the second is not: nothing stays held.
    assert fault(lambda: start(end - PAGE, 2 * PAGE)) == (errno.EFAULT, end)
    pfn = machine.frame_of(process, end - PAGE)
    assert pfn is not None
    assert machine.page(pfn).refcount == 1


def test_a_device_may_write_only_what_the_process_may(
    machine: uemu.Machine, process: uemu.Process, buf: int
) -> None:
    process.mprotect(buf, PAGE, uemu.PROT_READ)
    assert fault(lambda: machine.dma.start(process, buf, 512, direction=READ))[0] == errno.EFAULT
    machine.dma.start(process, buf, 512, direction=WRITE).complete()


def test_an_unknown_api_names_those_there_are(
    machine: uemu.Machine, process: uemu.Process, buf: int
) -> None:
    for use in (
        lambda: machine.dma.start(process, buf, 512, direction=READ, api="odirect"),
        lambda: machine.dma.register(process, buf, 512, api="odirect"),
    ):
        with pytest.raises(ValueError, match="unknown api 'odirect'; known: o_direct, vmsplice, "):
            use()


def test_what_registers_does_not_start_transfers(
    machine: uemu.Machine, process: uemu.Process, buf: int
) -> None:
    with pytest.raises(ValueError, match=r"rdma registers its buffers; use register\(\)"):
        machine.dma.start(process, buf, 512, direction=READ, api="rdma")


def test_nobody_writes_through_vmsplice(
    machine: uemu.Machine, process: uemu.Process, buf: int
) -> None:
    with pytest.raises(ValueError, match="vmsplice reads memory"):
        machine.dma.start(process, buf, 512, direction=READ, api="vmsplice")


@pytest.mark.parametrize("direction", ["from-device", 1, None])
def test_a_direction_is_one_of_two(
    machine: uemu.Machine, process: uemu.Process, buf: int, direction: object
) -> None:
    with pytest.raises(TypeError, match=r"direction must be uemu\.DMA_FROM_DEVICE or"):
        machine.dma.start(process, buf, 512, direction=direction)  # type: ignore[arg-type]


def test_a_transfer_moves_no_more_than_its_buffer_and_stays_in_flight(
    machine: uemu.Machine, process: uemu.Process, buf: int
) -> None:
    read = machine.dma.start(process, buf, 512, direction=READ)
    with pytest.raises(ValueError, match="is not inside 512 bytes"):
        read.complete(b"D" * 513)
    assert read.in_flight
    read.complete(b"D" * 512)
    assert process.load(buf, 513) == b"D" * 512 + b"I"


def test_a_transfer_completes_once(machine: uemu.Machine, process: uemu.Process, buf: int) -> None:
    for transfer, data in (
        (machine.dma.start(process, buf, 512, direction=READ), b"D"),
        (machine.dma.start(process, buf, 512, direction=WRITE), b""),
    ):
        transfer.complete(data)
        with pytest.raises(ValueError, match="is over"):
            transfer.complete(data)


def test_a_transfer_to_the_device_takes_no_data(
    machine: uemu.Machine, process: uemu.Process, buf: int
) -> None:
    write = machine.dma.start(process, buf, 512, direction=WRITE)
    with pytest.raises(ValueError, match="takes no data, it returns it"):
        write.complete(b"D")
    assert write.complete() == b"I" * 512


def test_a_registration_is_accessed_inside_and_released_once(
    machine: uemu.Machine, process: uemu.Process, buf: int
) -> None:
    region = machine.dma.register(process, buf, PAGE)
    for offset, length in ((-1, 2), (PAGE - 1, 2), (PAGE, 1)):
        with pytest.raises(ValueError, match="is not inside 4096 bytes"):
            region.dma_read(offset, length)
        with pytest.raises(ValueError, match="is not inside 4096 bytes"):
            region.dma_write(offset, bytes(length))
    region.release()
    for use in (region.release, lambda: region.dma_read(0, 1), lambda: region.dma_write(0, b"D")):
        with pytest.raises(ValueError, match="is over"):
            use()


def test_the_dead_start_nothing(machine: uemu.Machine, process: uemu.Process, buf: int) -> None:
    process.exit()
    for use in (
        lambda: machine.dma.start(process, buf, 512, direction=READ),
        lambda: machine.dma.register(process, buf, PAGE),
    ):
        with pytest.raises(uemu.ProcessDied, match=f"process {process.pid} exited with status 0"):
            use()
