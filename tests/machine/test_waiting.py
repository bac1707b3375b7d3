"""Calls that a policy makes wait: begun, looked at, collected."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

import uemu
from tests.common import FORK_WAITS
from uemu.abi import Foll
from uemu.machine import Call
from uemu.mm.hooks import NeedFault
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.vma import Vma
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op, Step

pytestmark = pytest.mark.needs_ptrace

PAGE = uemu.PAGE_SIZE

BEGUN: dict[str, Callable[[uemu.Machine, uemu.Process, int], Call[Any]]] = {
    "mmap": lambda machine, process, buf: process.begin.mmap(PAGE),
    "mremap": lambda machine, process, buf: process.begin.mremap(buf, PAGE, 2 * PAGE),
    "munmap": lambda machine, process, buf: process.begin.munmap(buf, PAGE),
    "mprotect": lambda machine, process, buf: process.begin.mprotect(buf, PAGE, uemu.PROT_READ),
    "madvise": lambda machine, process, buf: process.begin.madvise(buf, PAGE, uemu.MADV_DONTFORK),
    "fork": lambda machine, process, buf: process.begin.fork(),
    "store": lambda machine, process, buf: process.begin.store(buf + PAGE, b"x"),
    "load": lambda machine, process, buf: process.begin.load(buf + PAGE, 1),
    "dma.start": lambda machine, process, buf: machine.dma.begin_start(
        process, buf + PAGE, PAGE, direction=uemu.DMA_TO_DEVICE
    ),
    "dma.register": lambda machine, process, buf: machine.dma.begin_register(process, buf, PAGE),
}
"""Whatever takes mmap_lock; the second page of the buffer was never touched."""


@pytest.mark.parametrize("name", BEGUN)
def test_a_call_can_be_begun_and_collected_when_it_is_over(
    machine: uemu.Machine, process: uemu.Process, name: str
) -> None:
    buf = process.mmap(2 * PAGE)
    process.store(buf, b"I")
    lock, cpu = process._process.mm.mmap_lock, Cpu("writer")
    machine.tracer.call(lambda: lock.down_write(cpu))
    call = BEGUN[name](machine, process, buf)
    assert not call.done
    waits_for = call.waits_for
    assert waits_for
    with pytest.raises(uemu.Blocked) as blocked:
        call.result()
    assert blocked.value.waits_for == waits_for
    machine.tracer.call(lambda: lock.up_write(cpu))
    result = call.result()
    assert (call.done, call.waits_for) == (True, None)
    assert [violation.kind for violation in machine.violations] == ["fork-blocked"]
    if name == "dma.start":
        assert result.complete() == bytes(PAGE)
    elif name == "dma.register":
        result.release()
    elif name == "load":
        assert result == b"\0"


class GupWaits(Linux2_6_29):
    """Slow gup waits before it looks its second page up."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = False
        self.looked = 0

    def follow_page_pte(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault]:
        yield Step("follow_page", "a gate", lambda: self.is_open or self.looked < 2)
        self.looked += 1
        return (yield from super().follow_page_pte(cpu, mm, vma, base, foll))


class Waiting(NamedTuple):
    """A registration of two shared pages that waits between the two.

    Attributes:
        parent: whose it is.
        other: another thread of it.
        child: who shares the pages.
        buf: where they are.
        call: the registration.
    """

    parent: uemu.Process
    other: uemu.Thread
    child: uemu.Process
    buf: int
    call: Call[uemu.Registration]


def begin_register(machine: uemu.Machine) -> Waiting:
    """Begin it."""
    parent = machine.spawn()
    other = parent.thread()
    buf = parent.mmap(2 * PAGE)
    parent.store(buf, b"I" * (2 * PAGE))
    child = parent.fork()
    call = machine.dma.begin_register(parent, buf, 2 * PAGE)
    assert call.waits_for == "follow_page: a gate"
    return Waiting(parent, other, child, buf, call)


def test_what_a_call_has_done_before_it_waits_is_seen_by_others() -> None:
    """The parent left the first page for a copy; its real mapping has to follow."""
    hooks = GupWaits()
    with uemu.Machine(hooks) as machine:
        waiting = begin_register(machine)
        waiting.child.store(waiting.buf, b"C")
        assert waiting.other.load(waiting.buf, 1) == b"I"
        hooks.is_open = True
        memory = waiting.call.result()
        assert memory.dma_read(0, 1) == b"I"
        memory.release()
        machine.check()


def test_a_process_killed_in_gup_gives_its_pages_back() -> None:
    with uemu.Machine(GupWaits()) as machine:
        waiting = begin_register(machine)
        os.kill(waiting.parent.pid, signal.SIGKILL)
        with pytest.raises(uemu.ProcessDied):
            waiting.other.load(waiting.buf, 1)
        with pytest.raises(uemu.ProcessDied):
            waiting.call.result()
        machine.check()
        assert len(machine.pfns) == 2  # the child's


@pytest.mark.parametrize("policy", FORK_WAITS)
def test_a_fork_that_was_begun_under_io_ends_with_it(policy: str) -> None:
    with uemu.Machine(policy) as machine:
        parent = machine.spawn()
        other = parent.thread()
        buf = parent.mmap(PAGE)
        parent.store(buf, b"I" * PAGE)
        read = machine.dma.start(parent, buf, 512, direction=uemu.DMA_FROM_DEVICE)
        call = parent.begin.fork()
        assert str(call.waits_for).startswith("dup_mmap: ")
        other.store(buf + 512, b"P")
        read.complete(b"D" * 512)
        assert call.done
        child = call.result()
        parent.store(buf, b"x")
        assert (parent.load(buf, 1), child.load(buf, 1)) == (b"x", b"D")
        assert child.load(buf + 512, 1) == b"P"
        assert [violation.kind for violation in machine.violations] == ["fork-blocked"]
        machine.check()
