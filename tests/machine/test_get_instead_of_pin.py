"""A driver that gets pages where it should pin them: what is lost, and what is advised.

A real driver cannot be had here: the machine's ``api`` says who takes the pages,
and the policy whether that is a get or a pin.
"""

from __future__ import annotations

import pytest

import uemu
from uemu.oracle.fitting import fitting
from uemu.oracle.violations import Violation

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.needs_memfd]

LENGTH = 512


def read_over_fork(policy: str, api: str) -> list[Violation]:
    """A device reads into memory over a fork, and the parent stores beside it."""
    with uemu.Machine(policy=policy) as machine:
        parent = machine.spawn()
        page = parent.mmap(uemu.PAGE_SIZE)
        parent.store(page, b"\x2a" * uemu.PAGE_SIZE)
        region = machine.dma.register(parent, page + LENGTH, LENGTH, writable=True, api=api)
        parent.fork()
        parent.store(page, b"beside")
        region.dma_write(0, b"D" * LENGTH)
        region.release()
        return [each for each in machine.violations if each.kind == "lost-dma-write"]


def test_a_driver_that_gets_loses_and_is_told_to_pin() -> None:
    (lost,) = read_over_fork("linux-4.19", "rdma")
    assert lost.buffer is not None
    assert (lost.buffer.pinned, lost.buffer.long_term) == (False, True)
    assert (lost.buffer.before, lost.buffer.after) == (LENGTH, uemu.PAGE_SIZE - 2 * LENGTH)
    remedies = dict(fitting(lost))
    assert "pin_user_pages()" in remedies["FOLL_PIN in the driver"]
    assert "a newer kernel" not in remedies


@pytest.mark.parametrize("policy", ["linux-5.11", "linux-5.19"])
def test_on_one_kernel_who_pins_keeps_what_who_gets_loses(policy: str) -> None:
    (lost,) = read_over_fork(policy, "o_direct")
    assert lost.story[0].event == "got"
    assert read_over_fork(policy, "rdma") == []
