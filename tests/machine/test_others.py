"""A call of one process that changes the page tables of others, which are real, too."""

from __future__ import annotations

import os
import signal

import pytest

import uemu
from uemu.step import Cpu

pytestmark = pytest.mark.needs_ptrace

PAGE = uemu.PAGE_SIZE
POLICY = "torvalds-2009-directed-cow"


def filled(machine: uemu.Machine) -> tuple[uemu.Process, int]:
    """A process with a page of ``I``, the first owner of whatever it shares."""
    owner = machine.spawn()
    buf = owner.mmap(PAGE)
    owner.store(buf, b"I" * PAGE)
    return owner, buf


def test_all_the_others_move_to_copies_when_the_owner_stores() -> None:
    with uemu.Machine(POLICY) as machine:
        owner, buf = filled(machine)
        child = owner.fork()
        grandchild = child.fork("grandchild")
        shared = machine.frame_of(owner, buf)
        owner.store(buf, b"P")
        assert machine.frame_of(owner, buf) == shared
        assert len({machine.frame_of(each, buf) for each in (owner, child, grandchild)}) == 3
        loaded = [each.load(buf, 2) for each in (owner, child, grandchild)]
        assert loaded == [b"PI", b"II", b"II"]
        machine.check()


def test_and_when_its_get_user_pages_is_the_writer() -> None:
    with uemu.Machine(POLICY) as machine:
        owner, buf = filled(machine)
        child = owner.fork()
        read = machine.dma.start(owner, buf, 512, direction=uemu.DMA_FROM_DEVICE)
        read.complete(b"D" * 512)
        assert (owner.load(buf, 1), child.load(buf, 1)) == (b"D", b"I")
        assert machine.violations == []


def test_who_borrows_an_address_space_in_vfork_moves_it() -> None:
    with uemu.Machine(POLICY) as machine:
        owner, buf = filled(machine)
        child = owner.fork()
        borrower = child.vfork("borrower")
        owner.store(buf, b"P")
        assert borrower.load(buf, 1) == b"I"
        borrower.exit()
        assert child.load(buf, 1) == b"I"


def test_one_that_was_killed_meanwhile_is_left_out() -> None:
    with uemu.Machine(POLICY) as machine:
        owner, buf = filled(machine)
        child, other = owner.fork(), owner.fork("other")
        os.kill(child.pid, signal.SIGKILL)
        owner.store(buf, b"P")
        assert not child.alive
        assert (owner.load(buf, 1), other.load(buf, 1)) == (b"P", b"I")
        machine.check()


@pytest.mark.parametrize("length", [1, 3])
def test_a_store_that_waited_meanwhile_begins_anew(length: int) -> None:
    """Its only thread stands at the trap, and has to make calls from there."""
    with uemu.Machine(POLICY) as machine:
        owner, buf = filled(machine)
        child = owner.fork()
        lock, cpu = child._process.mm.mmap_lock, Cpu("a writer")
        machine.tracer.call(lambda: lock.down_write(cpu))
        store = child.begin.store(buf, b"C" * length)
        assert not store.done
        owner.store(buf, b"P" * 4)
        machine.tracer.call(lambda: lock.up_write(cpu))
        store.result()
        assert child.load(buf, 4) == b"C" * length + b"I" * (4 - length)
        assert owner.load(buf, 4) == b"PPPP"
        machine.check()
