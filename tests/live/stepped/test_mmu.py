"""Translations that stay stale until they are flushed: as real stores go."""

from __future__ import annotations

import pytest

from tests.live.stepped.conftest import Bench
from uemu.abi import PAGE_SIZE
from uemu.mm.mmu import PageFault
from uemu.step import Cpu

pytestmark = pytest.mark.needs_ptrace


def store(bench: Bench, cpu: Cpu, data: bytes) -> int | PageFault:
    return bench.call(lambda: bench.hardware.cpus.store(cpu, bench.mm, bench.base, data))


def flush(bench: Bench, target: Cpu, page: int = 0) -> None:
    start = bench.base + page * PAGE_SIZE
    mmu, mm = bench.hardware.mmu, bench.mm.id
    bench.call(lambda: mmu.flush(bench.one, target, mm, start, start + PAGE_SIZE))


def test_a_store_goes_where_the_stale_mapping_leads_until_the_flush(bench: Bench) -> None:
    old, new = bench.pfns
    bench.set(old)
    for cpu in (bench.one, bench.two):
        assert store(bench, cpu, b"1") == old
    bench.set(new)
    assert store(bench, bench.one, b"2") == old
    flush(bench, bench.one)
    assert store(bench, bench.one, b"3") == new
    assert store(bench, bench.two, b"4") == old
    frames = bench.hardware.frames
    assert (frames.read(old, 0, 1), frames.read(new, 0, 1)) == (b"4", b"3")
    assert bench.hardware.cpus.tally.stale == 2


def test_a_cpu_that_never_touched_the_page_sees_the_new_entry(bench: Bench) -> None:
    bench.set(bench.pfns[0])
    assert store(bench, bench.one, b"1") == bench.pfns[0]
    bench.set(bench.pfns[1])
    assert store(bench, bench.two, b"2") == bench.pfns[1]
    assert bench.hardware.cpus.tally.stale == 0


def test_a_write_protected_page_is_written_until_the_flush(bench: Bench) -> None:
    bench.set(bench.pfns[0])
    store(bench, bench.one, b"1")
    bench.set(bench.pfns[0], write=False)
    assert store(bench, bench.one, b"2") == bench.pfns[0]
    flush(bench, bench.one)
    assert store(bench, bench.one, b"3") == PageFault(bench.base, True)
    assert bench.hardware.frames.read(bench.pfns[0], 0, 1) == b"2"
    assert bench.hardware.cpus.tally.stale == 1


def test_a_flush_of_another_page_leaves_it(bench: Bench) -> None:
    bench.set(bench.pfns[0])
    store(bench, bench.one, b"1")
    bench.set(None)
    flush(bench, bench.one, page=1)
    assert store(bench, bench.one, b"2") == bench.pfns[0]


def test_cpus_of_an_mm_are_those_that_run_it(bench: Bench) -> None:
    assert bench.hardware.mmu.cpus_of(bench.mm.id) == (bench.one, bench.two)
    assert bench.hardware.mmu.cpus_of(77) == ()


def test_who_never_ran_in_an_mm_has_nothing_to_flush(bench: Bench) -> None:
    bench.set(bench.pfns[0])
    store(bench, bench.one, b"1")
    flush(bench, Cpu("exit"))
    bench.set(None)
    assert store(bench, bench.one, b"2") == bench.pfns[0]
