"""fio with direct=1 and verification: what it wrote it reads back, by each engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.program.running import uemu_run
from tests.software.installing import debian
from uemu.policy.registry import NEWEST

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.slow]

ENGINES = {
    "sync": (),
    "libaio": (),
    "io_uring": (),
    "io_uring, registered": ("--fixedbufs=1", "--registerfiles=1"),
}


@pytest.mark.parametrize("dma", ["immediate", "held", "random"])
@pytest.mark.parametrize("name", ENGINES)
def test_it_verifies_what_it_wrote(name: str, dma: str, tmp_path: Path) -> None:
    debian("fio", "fio")
    engine = name.split(",")[0]
    ran = uemu_run(
        tmp_path,
        *("fio", "--name=test", "--size=1m", "--direct=1", "--rw=randrw", "--bs=4k"),
        *(f"--ioengine={engine}", "--iodepth=8", "--verify=crc32c", "--numjobs=2"),
        *ENGINES[name],
        policy=NEWEST,
        options=("--dma", dma),
    )
    assert ran.status == 0, ran.out + ran.err
    assert "err= 0" in ran.out
    assert ran.json["stats"]["transfers"] > 500
    assert ran.kinds == set()
