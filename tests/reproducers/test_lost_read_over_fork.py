"""A program reads a file with O_DIRECT while another of its threads forks and stores.

The buffer shares its page with other data, as memalign(512) gives it. The read
returns 512, and under most kernels the buffer still has its old bytes.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import uemu
from uemu.pytest_plugin import MachineFactory

pytestmark = pytest.mark.needs_ptrace

SECTOR = 512
OLD, NEW = b"." * SECTOR, b"from the file; " * 40


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """What is read."""
    path = tmp_path / "file"
    path.write_bytes(NEW)
    return path


def read_while_forking(
    machine: uemu.Machine, file: Path, *, dontfork: bool = False, store: bool = True
) -> bytes:
    """What the reader finds in its buffer after its read(2) returned."""
    reader = machine.spawn()
    page = reader.mmap(uemu.PAGE_SIZE)
    buffer, neighbour = page + SECTOR, page
    reader.store(buffer, OLD)
    if dontfork:
        reader.madvise(page, uemu.PAGE_SIZE, uemu.MADV_DONTFORK)

    read = machine.dma.start(reader, buffer, SECTOR, direction=uemu.DMA_FROM_DEVICE, api="o_direct")
    worker = reader.thread()
    worker.fork()
    if store:
        worker.store(neighbour, b"!")
    fd = os.open(file, os.O_RDONLY)
    try:
        read.complete_from_file(fd, 0)
    finally:
        os.close(fd)
    return reader.load(buffer, SECTOR)


@pytest.mark.uemu_policy("linux-2.6.29", "linux-5.9", "linux-5.19")
def test_the_read_is_lost(uemu_machine: MachineFactory, file: Path) -> None:
    machine = uemu_machine()
    assert read_while_forking(machine, file) == OLD
    assert "lost-dma-write" in [violation.kind for violation in machine.violations]


@pytest.mark.uemu_policy("arcangeli-2009-v2", "linux-6.5")
def test_a_kernel_that_copies_for_the_child_keeps_it(
    uemu_machine: MachineFactory, file: Path
) -> None:
    machine = uemu_machine()
    assert read_while_forking(machine, file) == NEW[:SECTOR]
    assert machine.violations == []


@pytest.mark.uemu_policy("linux-2.6.29", "linux-5.9", "linux-5.19")
def test_madv_dontfork_is_a_remedy(uemu_machine: MachineFactory, file: Path) -> None:
    machine = uemu_machine()
    assert read_while_forking(machine, file, dontfork=True) == NEW[:SECTOR]
    assert machine.violations == []


@pytest.mark.uemu_policy("linux-2.6.29", "linux-5.9", "linux-5.19")
def test_it_takes_the_store_to_lose_it(uemu_machine: MachineFactory, file: Path) -> None:
    machine = uemu_machine()
    assert read_while_forking(machine, file, store=False) == NEW[:SECTOR]
    # The child sees what was not meant for it, though.
    assert [violation.kind for violation in machine.violations] == ["dma-write-seen-by-other"]
