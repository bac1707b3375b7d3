"""Reclaim, migration, KSM and clear_refs, on real processes."""

from __future__ import annotations

import pytest

import uemu
from uemu import DMA_FROM_DEVICE, PAGE_SIZE

pytestmark = pytest.mark.needs_ptrace


def filled(machine: uemu.Machine) -> tuple[uemu.Process, int]:
    """A process with a page of ``I``."""
    parent = machine.spawn()
    buf = parent.mmap(PAGE_SIZE)
    parent.store(buf, b"I" * PAGE_SIZE)
    return parent, buf


def test_a_page_that_was_swapped_out_faults_in() -> None:
    with uemu.Machine("linux-2.6.29") as machine:
        parent, buf = filled(machine)
        child = parent.fork()
        before = machine.frame_of(parent, buf)
        assert machine.swap_out(parent, buf) == "freed"
        assert machine.frame_of(parent, buf) is None
        assert machine.frame_of(child, buf) is None
        assert child.load(buf, 2) == b"II"
        parent.store(buf, b"x")
        assert parent.load(buf, 2) == b"xI"
        assert child.load(buf, 2) == b"II"
        assert machine.frame_of(parent, buf) not in (None, before)
        machine.check()


# Ground truth, cases f1 and f2, with a get: 5.10.223 and 6.1.176.
@pytest.mark.parametrize(
    ("policy", "touched", "seen"),
    [
        ("linux-5.11", True, b"I"),
        ("linux-5.11", False, b"D"),
        ("linux-5.19", True, b"D"),
        ("linux-5.19", False, b"D"),
    ],
)
def test_what_a_held_page_that_is_swapped_out_shows_later(
    policy: str, touched: bool, seen: bytes
) -> None:
    with uemu.Machine(policy) as machine:
        parent, buf = filled(machine)
        read = machine.dma.start(parent, buf + 3584, 512, direction=DMA_FROM_DEVICE)
        assert machine.swap_out(parent, buf) != "freed"
        assert machine.frame_of(parent, buf) is None
        if touched:
            parent.load(buf, 1)
        parent.store(buf, b"P")
        read.complete(b"D" * 512)
        assert parent.load(buf + 3584, 1) == seen
        assert [v.kind for v in machine.violations] == ["lost-dma-write"] * (seen == b"I")
        machine.check()


# Ground truth, case f1 with a pin on 5.10.223: it stays present.
def test_what_is_pinned_is_not_swapped_out() -> None:
    with uemu.Machine("linux-5.11") as machine:
        parent, buf = filled(machine)
        memory = machine.dma.register(parent, buf, PAGE_SIZE)
        machine.swap_out(parent, buf)
        assert machine.frame_of(parent, buf) == memory.pfns[0]


def test_a_page_moves_under_a_process_that_notices_nothing() -> None:
    with uemu.Machine() as machine:
        parent, buf = filled(machine)
        before = machine.frame_of(parent, buf)
        assert machine.migrate(parent, buf) == "migrated"
        assert machine.frame_of(parent, buf) != before
        parent.store(buf + 1, b"x")
        assert parent.load(buf, 3) == b"IxI"
        memory = machine.dma.register(parent, buf, PAGE_SIZE)
        assert machine.migrate(parent, buf) != "migrated"
        memory.dma_write(0, b"D")
        assert parent.load(buf, 2) == b"Dx"
        machine.check()


def test_equal_pages_of_two_processes_become_one_until_a_store() -> None:
    with uemu.Machine() as machine:
        one, buf = filled(machine)
        other, there = filled(machine)
        assert machine.ksm_merge((one, buf), (other, there + 5)) == "merged"
        assert machine.frame_of(one, buf) == machine.frame_of(other, there)
        one.store(buf, b"x")
        assert other.load(there, 1) == b"I"
        assert machine.frame_of(one, buf) != machine.frame_of(other, there)
        machine.check()


# Ground truth, case a4: 5.10.223, a get and a pin.
@pytest.mark.parametrize(("pinned", "seen"), [(False, b"I"), (True, b"D")])
def test_a_store_after_clear_refs(pinned: bool, seen: bytes) -> None:
    with uemu.Machine("linux-5.11") as machine:
        parent, buf = filled(machine)
        if pinned:
            memory = machine.dma.register(parent, buf, PAGE_SIZE)
        else:
            read = machine.dma.start(parent, buf + 3584, 512, direction=DMA_FROM_DEVICE)
        machine.clear_refs(parent)
        parent.store(buf, b"P")
        if pinned:
            memory.dma_write(3584, b"D")
        else:
            read.complete(b"D" * 512)
        assert parent.load(buf + 3584, 1) == seen


def test_a_kernel_without_ksm_and_soft_dirty_says_so() -> None:
    with uemu.Machine("linux-2.6.29") as machine:
        parent, buf = filled(machine)
        with pytest.raises(uemu.Fault, match="KSM"):
            machine.ksm_merge((parent, buf), (parent, buf))
        with pytest.raises(uemu.Fault, match="clear_refs"):
            machine.clear_refs(parent)


def test_another_machines_process_is_refused() -> None:
    with uemu.Machine() as machine, uemu.Machine() as elsewhere:
        parent, buf = filled(elsewhere)
        with pytest.raises(ValueError, match="another machine"):
            machine.swap_out(parent, buf)
