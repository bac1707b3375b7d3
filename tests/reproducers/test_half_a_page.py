"""A driver registers half a page; the other half is the program's own, and it forks.

What the driver holds is the page, whatever it registered. Whether the child
shares it depends on how the page is held: fork copies a pinned page
(FOLL_PIN), and shares one that is only referenced (FOLL_GET).
"""

from __future__ import annotations

import pytest

import uemu
from uemu.pytest_plugin import MachineFactory

pytestmark = pytest.mark.needs_ptrace

HALF = uemu.PAGE_SIZE // 2


def one_page(machine: uemu.Machine) -> tuple[uemu.Process, int, int]:
    """A program, the half of a page it gives to the driver, and the half it keeps."""
    program = machine.spawn()
    page = program.mmap(uemu.PAGE_SIZE)
    program.store(page, b"driver's".ljust(HALF, b".") + b"program's".ljust(HALF, b"."))
    return program, page, page + HALF


@pytest.mark.uemu_policy("linux-5.9", "linux-5.19", "linux-6.5")
def test_pinned_the_page_stays_with_the_program(uemu_machine: MachineFactory) -> None:
    machine = uemu_machine()
    program, drivers_half, programs_half = one_page(machine)
    ring = machine.dma.register(program, drivers_half, HALF, api="rdma")

    child = program.fork()
    program.store(programs_half, b"changed!!")
    ring.dma_write(0, b"received")

    assert program.load(drivers_half, 8) == b"received"
    # The child has its own copy, taken at fork: neither the store nor the DMA is in it.
    assert child.load(drivers_half, 8) == b"driver's"
    assert child.load(programs_half, 9) == b"program's"
    assert machine.violations == []


@pytest.mark.uemu_policy("linux-2.6.29")
def test_held_by_a_plain_reference_it_goes_to_the_child(uemu_machine: MachineFactory) -> None:
    machine = uemu_machine()
    program, drivers_half, programs_half = one_page(machine)
    ring = machine.dma.register(program, drivers_half, HALF, api="rdma")

    child = program.fork()
    program.store(programs_half, b"changed!!")
    ring.dma_write(0, b"received")

    # A store to its own half was enough to take the driver's half away from it.
    assert program.load(drivers_half, 8) == b"driver's"
    assert child.load(drivers_half, 8) == b"received"
    kinds = {violation.kind for violation in machine.violations}
    assert kinds == {"lost-dma-write", "dma-write-seen-by-other"}


@pytest.mark.uemu_policy("linux-5.9", "linux-5.19", "linux-6.5")
def test_vmsplice_gets_to_this_day_and_its_reader_sees_old_bytes(
    uemu_machine: MachineFactory,
) -> None:
    machine = uemu_machine()
    program, drivers_half, programs_half = one_page(machine)
    pipe = machine.dma.start(
        program, drivers_half, HALF, direction=uemu.DMA_TO_DEVICE, api="vmsplice"
    )

    program.fork()
    program.store(programs_half, b"changed!!")
    program.store(drivers_half, b"too late")

    assert program.load(drivers_half, 8) == b"too late"
    assert pipe.complete()[:8] == b"driver's"


@pytest.mark.uemu_policy("linux-5.9", "linux-5.19", "linux-6.5")
def test_without_a_fork_its_reader_sees_what_the_program_sees(
    uemu_machine: MachineFactory,
) -> None:
    machine = uemu_machine()
    program, drivers_half, _ = one_page(machine)
    pipe = machine.dma.start(
        program, drivers_half, HALF, direction=uemu.DMA_TO_DEVICE, api="vmsplice"
    )

    program.store(drivers_half, b"in time!")

    assert pipe.complete()[:8] == b"in time!"


@pytest.mark.uemu_policy("linux-2.6.29")
def test_dontfork_takes_the_other_half_from_the_child(uemu_machine: MachineFactory) -> None:
    machine = uemu_machine()
    program, drivers_half, programs_half = one_page(machine)
    program.madvise(drivers_half, uemu.PAGE_SIZE, uemu.MADV_DONTFORK)
    machine.dma.register(program, drivers_half, HALF, api="rdma").dma_write(0, b"received")

    child = program.fork()

    # The remedy has its price: the child would have needed this half.
    with pytest.raises(uemu.Fault, match="EFAULT"):
        child.load(programs_half, 9)
