"""A device reads a registered page for months; after one fork it reads yesterday's bytes.

RDMA asks for write access even where the device only reads, VFIO does not: a
page that was shared by an earlier fork is then registered as it is, and the
program's next store leaves it to the device.
"""

from __future__ import annotations

import pytest

import uemu
from uemu.pytest_plugin import MachineFactory

pytestmark = pytest.mark.needs_ptrace

CONFIG = b"version 1"


def publish(machine: uemu.Machine, api: str, *, fork: str = "after") -> tuple[bytes, bytes]:
    """A program lets a device read its configuration, and changes it; (its own, the device's)."""
    program = machine.spawn()
    page = program.mmap(uemu.PAGE_SIZE)
    program.store(page, CONFIG)
    if fork == "before":
        program.fork()
    window = machine.dma.register(program, page, uemu.PAGE_SIZE, writable=False, api=api)
    assert window.dma_read(0, len(CONFIG)) == CONFIG
    if fork == "after":
        program.fork()

    program.store(page, b"version 2")

    seen = program.load(page, len(CONFIG)), window.dma_read(0, len(CONFIG))
    window.release()
    return seen


@pytest.mark.parametrize("api", ["rdma", "vfio"])
@pytest.mark.uemu_policy("linux-2.6.29")
def test_a_fork_after_the_registration_makes_it_stale(
    uemu_machine: MachineFactory, api: str
) -> None:
    machine = uemu_machine()
    assert publish(machine, api) == (b"version 2", b"version 1")
    assert [violation.kind for violation in machine.violations] == ["stale-dma-read"]


@pytest.mark.parametrize("api", ["rdma", "vfio"])
@pytest.mark.uemu_policy("linux-5.9", "linux-6.5")
def test_a_pin_keeps_it_fresh(uemu_machine: MachineFactory, api: str) -> None:
    machine = uemu_machine()
    assert publish(machine, api) == (b"version 2", b"version 2")
    assert machine.violations == []


@pytest.mark.uemu_policy("linux-2.6.29", "linux-5.9")
def test_a_read_only_pin_of_a_page_that_is_shared_already_goes_stale(
    uemu_machine: MachineFactory,
) -> None:
    machine = uemu_machine()
    assert publish(machine, "vfio", fork="before") == (b"version 2", b"version 1")
    assert [violation.kind for violation in machine.violations] == ["stale-dma-read"]


@pytest.mark.uemu_policy("linux-5.19", "linux-6.5")
def test_a_kernel_that_unshares_the_page_first_keeps_it_fresh(
    uemu_machine: MachineFactory,
) -> None:
    machine = uemu_machine()
    assert publish(machine, "vfio", fork="before") == (b"version 2", b"version 2")
    assert machine.violations == []


@pytest.mark.uemu_policy("linux-2.6.29", "linux-5.9")
def test_asking_for_write_access_is_what_rdma_does_about_it(uemu_machine: MachineFactory) -> None:
    machine = uemu_machine()
    assert publish(machine, "rdma", fork="before") == (b"version 2", b"version 2")


@pytest.mark.uemu_policy("linux-2.6.29", "linux-5.9", "linux-6.5")
def test_without_a_fork_it_is_fresh_everywhere(uemu_machine: MachineFactory) -> None:
    machine = uemu_machine()
    assert publish(machine, "vfio", fork="never") == (b"version 2", b"version 2")
    assert machine.violations == []
