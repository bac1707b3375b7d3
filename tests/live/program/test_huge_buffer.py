"""A buffer in a transparent huge page: that its pages are taken as small ones is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.program.running import PYTHON, uemu_run
from uemu.live.program.adoption import IN_A_THP

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.slow]

READER = """
import mmap, os, sys
HUGE = 2 << 20
memory = mmap.mmap(-1, 4 * HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
if "huge" in sys.argv:
    memory.madvise(mmap.MADV_HUGEPAGE)
else:
    memory.madvise(mmap.MADV_NOHUGEPAGE)
for at in range(0, len(memory), 4096):
    memory[at] = 1
fields = open("/proc/self/smaps").read().split()
sizes = [int(fields[i + 1]) for i, field in enumerate(fields) if field == "AnonHugePages:"]
print("huge" if any(sizes) else "small")
open("data", "wb").write(b"D" * 8192)
fd = os.open("data", os.O_RDONLY | os.O_DIRECT)
for at in (HUGE * 2, HUGE * 2 + 4096):
    assert os.preadv(fd, [memoryview(memory)[at : at + 512]], 0) == 512
    assert memory[at : at + 512] == b"D" * 512
"""


@pytest.mark.parametrize(
    ("advice", "policy", "told"),
    [("huge", "linux-5.11", 1), ("huge", "linux-2.6.29", 0), ("small", "linux-5.11", 0)],
)
def test_a_buffer_in_a_huge_page_is_told_of_once(
    advice: str, policy: str, told: int, tmp_path: Path
) -> None:
    ran = uemu_run(tmp_path, PYTHON, "-c", READER, advice, policy=policy)
    assert ran.status == 0, ran.err
    if advice not in ran.out:
        pytest.skip("this machine gives no transparent huge page")
    assert ran.json["stats"]["transfers"] == 2
    assert ran.json["notes"].count(IN_A_THP) == told
