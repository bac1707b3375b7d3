"""An engine that runs no program: what ``uemu run`` is tested with.

It notes what it was asked for and gives one result after the other. Real
programs have tests of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.report.program_runs import made_result
from uemu.events import Event, PageFreed
from uemu.live.program.result import RunResult


@dataclass(frozen=True)
class MadeOptions:
    """What the engine takes as the schedule of its devices."""

    kind: str
    seed: int = 0
    hold_ms: int = 1000


@dataclass
class MadeEngine:
    """An engine that runs nothing.

    Attributes:
        results: one for each run; the last one for all that follow.
        asked: program, policy and schedule of each run.
        meanwhile: what happens while the program runs.
        error: what it raises instead.
    """

    results: list[RunResult] = field(default_factory=lambda: [made_result()])
    asked: list[tuple[list[str], str, MadeOptions]] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None
    error: Exception | None = None

    def run_program(
        self,
        argv: Sequence[str],
        policy: str,
        dma: MadeOptions,
        note: Callable[[str], None],
        trace: Callable[[Event], None] | None,
    ) -> RunResult:
        """Note what was asked for, let happen what is to happen, give the next result."""
        self.asked.append((list(argv), policy, dma))
        if self.error is not None:
            raise self.error
        self.meanwhile()
        result = self.results[min(len(self.asked), len(self.results)) - 1]
        for text in result.notes:
            note(text)
        if trace is not None:
            trace(PageFreed(len(self.asked)))
        return result
