"""Hand-made results of programs: what an engine would hand over, without one."""

from __future__ import annotations

from uemu.live.program.result import RunResult, Stats
from uemu.oracle.violations import StoryLine, Violation

STORY = (
    StoryLine("got", 0, "t1", 0x1E00, "process 4711: o_direct gets pfn 0"),
    StoryLine("forked", 0, "t2", None, "process 4711: fork makes process 4712"),
    StoryLine("device-wrote", None, "device", None, "the device: writes 512 bytes into pfn 0"),
)
LOST = Violation(
    "lost-dma-write", 0, 0x1E00, 512, 0, "process 4711 does not see it", STORY, pid=4711
)
SEEN = Violation(
    "dma-write-seen-by-other", 1, 0x1E00, 512, 0, "process 4712 sees it", STORY, pid=4712
)


def made_result(
    *violations: Violation,
    status: int | None = 0,
    signal: int | None = None,
    transfers: int = 3,
    over_fork: int = 2,
    notes: tuple[str, ...] = (),
) -> RunResult:
    """How a program of two processes ended."""
    stats = Stats(
        forks=1,
        transfers=transfers,
        transfers_over_fork=over_fork,
        transfers_written_after=min(over_fork, 1),
    )
    return RunResult(
        status,
        signal,
        list(violations),
        stats,
        list(notes),
        pids={0: 4711, 1: 4712},
        tids={"t1": 4711, "t2": 4713},
    )
