"""Locks as cells, and the steps that wait for them."""

from __future__ import annotations

import pytest

from uemu.errors import ProcessDied
from uemu.mm.locks import FairRwSem, RwSem, SpinLock
from uemu.step import Access, Cpu, RecordingCpu

CPU = Cpu("cpu")


def test_a_spinlocks_step_waits_while_it_is_held_over_steps() -> None:
    lock = SpinLock(("lock",))
    step = lock.step("f", "do")
    assert step.is_enabled()
    lock.acquire(CPU)
    assert not step.is_enabled()
    lock.release(CPU)
    assert step.is_enabled()


def test_a_hold_inside_one_step_stops_nobody() -> None:
    lock = SpinLock(("lock",))
    lock.enter(CPU)
    assert lock.is_free()


def test_entering_reads_the_cell_that_the_step_waited_for() -> None:
    lock, cpu = SpinLock(("lock",)), RecordingCpu("cpu")
    lock.enter(cpu)
    assert cpu.take_accesses() == Access(frozenset({("lock",)}))
    lock.acquire(cpu)
    assert cpu.take_accesses()[1] == {("lock",)}


def test_labels_are_made_once() -> None:
    lock = SpinLock(("lock",))
    assert lock.step("f", "do") is lock.step("f", "do")
    assert lock.step("f", "do") is not lock.step("f", "something else")


def test_readers_share_a_rwsem_and_keep_a_writer_out() -> None:
    sem = RwSem(("sem",))
    read, write = sem.read_step("f", "read"), sem.write_step("f", "write")
    sem.down_read(CPU)
    sem.down_read(CPU)
    assert read.is_enabled()
    assert not write.is_enabled()
    sem.up_read(CPU)
    assert not write.is_enabled()
    sem.up_read(CPU)
    assert write.is_enabled()


def test_a_writer_keeps_everybody_out() -> None:
    sem = RwSem(("sem",))
    sem.down_write(CPU)
    assert not sem.read_step("f", "read").is_enabled()
    assert not sem.write_step("f", "write").is_enabled()
    sem.up_write(CPU)
    assert sem.read_step("f", "read").is_enabled()


def test_readers_do_not_conflict_and_a_writer_looks_at_them() -> None:
    sem, cpu = RwSem(("sem",)), RecordingCpu("cpu")
    writer, readers = frozenset({("sem",)}), frozenset({("sem", "readers")})
    sem.down_read(cpu)
    assert cpu.take_accesses() == Access(reads=writer, counts=readers)
    sem.up_read(cpu)
    assert cpu.take_accesses() == Access(counts=readers)
    for take in (sem.enter, sem.down_write):
        take(cpu)
        assert cpu.take_accesses() == Access(reads=readers, writes=writer)


def test_a_read_step_and_a_write_step_of_one_name_differ() -> None:
    sem = RwSem(("sem",))
    assert sem.read_step("f", "x") is not sem.write_step("f", "x")


def test_a_writer_that_waits_stops_new_readers_of_a_fair_one_only() -> None:
    for sem, goes_on in ((FairRwSem(("sem",)), False), (RwSem(("sem",)), True)):
        sem.down_read(CPU)
        writing = sem.write(CPU, "f", "write")
        label = next(writing)
        if isinstance(sem, FairRwSem):
            label = next(writing)
        assert not label.is_enabled()
        assert sem.read_step("f", "read").is_enabled() is goes_on
        sem.up_read(CPU)
        assert label.is_enabled()
        assert next(writing, None) is None
        assert not sem.read_step("f", "read").is_enabled()
        sem.up_write(CPU)
        assert sem.read_step("f", "read").is_enabled()


def test_a_writer_of_one_step_queues_too() -> None:
    sem = FairRwSem(("sem",))
    writing = sem.write_once(CPU, "f", "write")
    next(writing)
    next(writing)
    assert not sem.read_step("f", "read").is_enabled()
    assert next(writing, None) is None
    assert sem.is_free()
    assert sem.read_step("f", "read").is_enabled()


def test_a_writer_that_dies_in_the_queue_stops_nobody_any_more() -> None:
    sem = FairRwSem(("sem",))
    sem.down_read(CPU)
    writing = sem.write(CPU, "f", "write")
    next(writing)
    next(writing)
    assert not sem.read_step("f", "read").is_enabled()
    died = ProcessDied(17, "was killed by SIGKILL", "a call")
    with pytest.raises(ProcessDied):
        writing.throw(died)
    assert sem.read_step("f", "read").is_enabled()
    assert not sem.writer.peek()
