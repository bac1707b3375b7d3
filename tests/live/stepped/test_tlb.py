"""Entries that are mappings: what the real process really has there."""

from __future__ import annotations

import os

import pytest

from tests.live.processes import Watch, frames_mapped_by
from tests.live.stepped.conftest import Bench
from uemu.abi import PAGE_SIZE
from uemu.errors import Disagreement, HostError, ProcessDied
from uemu.host import native
from uemu.live.stepped.tlb import RealTlbs

pytestmark = pytest.mark.needs_ptrace


def tlbs_of(bench: Bench) -> RealTlbs:
    return bench.hardware.cpus._tlbs


def test_an_entry_is_a_mapping_of_its_frame_in_that_process_alone(bench: Bench) -> None:
    tlbs, first = tlbs_of(bench), bench.thread(bench.one)
    bench.call(lambda: tlbs.fill(first, bench.base, bench.pfns[0], write=True))
    assert tlbs.pfn_at(first, bench.base + 17) == bench.pfns[0]
    bench.call(lambda: tlbs.fill(first, bench.base, bench.pfns[1], write=False))
    assert tlbs.pfn_at(first, bench.base + 17) == bench.pfns[1]
    assert frames_mapped_by(first.process.pid) == 1
    assert frames_mapped_by(bench.thread(bench.two).process.pid) == 0


def test_a_flush_unmaps_its_range_and_no_more(bench: Bench) -> None:
    tlbs, first = tlbs_of(bench), bench.thread(bench.one)
    for page in range(3):
        addr = bench.base + page * PAGE_SIZE
        bench.call(lambda addr=addr: tlbs.fill(first, addr, bench.pfns[0], write=True))  # type: ignore[misc]
    bench.call(lambda: tlbs.drop(first, bench.base + PAGE_SIZE, bench.base + 2 * PAGE_SIZE))
    assert tlbs.pfn_at(first, bench.base) == bench.pfns[0]
    assert tlbs.pfn_at(first, bench.base + 2 * PAGE_SIZE) == bench.pfns[0]
    with pytest.raises(Disagreement, match="no frame in use mapped there"):
        tlbs.pfn_at(first, bench.base + PAGE_SIZE)


def test_a_frame_that_is_free_is_none(bench: Bench) -> None:
    tlbs, first = tlbs_of(bench), bench.thread(bench.one)
    bench.call(lambda: tlbs.fill(first, bench.base, bench.pfns[0], write=True))
    bench.hardware.frames.free(bench.pfns[0])
    with pytest.raises(Disagreement, match=f"process {first.process.pid}"):
        tlbs.pfn_at(first, bench.base)


def test_another_file_is_no_frame(bench: Bench) -> None:
    """The offset alone would do: the puppet's control area is a memfd, too."""
    first = bench.thread(bench.one)
    with pytest.raises(Disagreement):
        tlbs_of(bench).pfn_at(first, first.slot.buffer)


def test_what_the_real_kernel_refuses_is_a_host_error(bench: Bench) -> None:
    tlbs, first = tlbs_of(bench), bench.thread(bench.one)
    with pytest.raises(HostError, match=f"a TLB fill in process {first.process.pid}: mmap: "):
        bench.call(lambda: tlbs.fill(first, 1 << 62, bench.pfns[0], write=True))
    with pytest.raises(HostError, match=f"a TLB flush in process {first.process.pid}: munmap: "):
        bench.call(lambda: tlbs.drop(first, bench.base + 1, bench.base + PAGE_SIZE))


def test_the_frames_are_the_memfd_that_the_device_writes(bench: Bench) -> None:
    tlbs, first = tlbs_of(bench), bench.thread(bench.one)
    bench.call(lambda: tlbs.fill(first, bench.base, bench.pfns[1], write=False))
    bench.hardware.frames.write(bench.pfns[1], 8, b"dma")
    fd = os.open(f"/proc/{first.process.pid}/mem", os.O_RDONLY)
    assert os.pread(fd, 3, bench.base + 8) == b"dma"
    os.close(fd)


def test_who_is_killed_before_he_is_asked_is_dead_and_no_disagreement(bench: Bench) -> None:
    tlbs, first = tlbs_of(bench), bench.thread(bench.one)
    bench.call(lambda: tlbs.fill(first, bench.base, bench.pfns[0], write=True))
    native.kill(first.process.pid)
    Watch([first.process.pid]).ended()
    with pytest.raises(ProcessDied, match="was killed by SIGKILL during a look at its mappings"):
        bench.call(lambda: tlbs.pfn_at(first, bench.base))
