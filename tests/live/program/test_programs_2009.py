"""The four programs of the thread of 2009 do what their authors say, under the kernel of then."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.program.running import uemu_run

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.slow]

Program = Callable[[str], Path]

MIB = 1 << 20
OLD, NEW = "linux-2.6.29", "linux-6.5"


def test_dma_thread_reads_bad_data(program_2009: Program, tmp_path: Path) -> None:
    program = program_2009("dma_thread")
    # It stops at its first file of a hundred.
    (tmp_path / "test_0001.tmp").write_bytes(b"\1" * 12 * MIB)
    ran = uemu_run(tmp_path, program, "-a", "512", "-w", "40", policy=OLD)
    assert ran.status == 128 + signal.SIGABRT
    assert "lost-dma-write" in ran.kinds


@pytest.mark.parametrize(("policy", "fails"), [(OLD, True), (NEW, False)])
def test_forkscrew_checks_its_buffer(
    policy: str, fails: bool, program_2009: Program, tmp_path: Path
) -> None:
    program = program_2009("forkscrew")
    (tmp_path / "data").write_bytes(bytes(MIB))
    ran = uemu_run(tmp_path, program, policy=policy)
    assert (ran.status != 0) is fails
    assert ("worker 0 failed check" in ran.out) is fails
    assert ("lost-dma-write" in ran.kinds) is fails
    assert "abnormal" not in ran.out


@pytest.mark.parametrize(("policy", "leaks"), [(OLD, True), (NEW, False)])
@pytest.mark.parametrize(("name", "size"), [("reverse-race", 4), ("forkscrewreverse", 40)])
def test_the_childs_bytes_reach_the_parents_file(
    name: str, size: int, policy: str, leaks: bool, program_2009: Program, tmp_path: Path
) -> None:
    program = program_2009(name)
    file = tmp_path / "file.dat"
    file.write_bytes(bytes(size * MIB))
    ran = uemu_run(tmp_path, program, policy=policy)
    assert ran.status == 0
    assert (b"\xff" in file.read_bytes()) is leaks
    assert ran.kinds == ({"foreign-dma-read"} if leaks else set())
