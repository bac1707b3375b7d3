"""One program run under a policy, once or some times, and what is said of it meanwhile."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING

from uemu.cli.deaf import Deaf
from uemu.cli.output import LineFile
from uemu.report.repeat_report import Tally
from uemu.report.run_report import PREFIX, prefixed, replay_lines, violation_lines, wrapped
from uemu.report.trace_line import trace_line
from uemu.report.way_back import run_command

if TYPE_CHECKING:
    from uemu.events import Event
    from uemu.live.program.result import RunResult
    from uemu.report.suppressions import Suppression
    from uemu.report.timeline import Timeline


@dataclass(slots=True)
class Runs:
    """The runs of a program under one policy.

    Attributes:
        args: the options.
        policy: the kernel's rules.
        program: its name and arguments.
        out: where people read.
        trace: where events go, if anywhere.
        tells: whether what a run is the first to violate is told at once.
        said: the notes that were said: each is, once.
        tally: what the runs so far gave.
        violating: the first of them with a violation.
        watch: is given each event while it runs.
        suppressions: what is not told, and counts as no violation.
        draws: whether a timeline is kept.
        timeline: that of the last run.
        drawn: the first run with a violation, or else the last: its timeline, result, seed.
    """

    args: argparse.Namespace
    policy: str
    program: Sequence[str]
    out: LineFile
    trace: LineFile | None
    tells: bool
    said: set[str] = field(default_factory=set)
    tally: Tally = field(default_factory=Tally)
    violating: RunResult | None = None
    watch: Callable[[Event], None] | None = None
    suppressions: Sequence[Suppression] = ()
    draws: bool = False
    timeline: Timeline | None = None
    drawn: tuple[Timeline, RunResult, int] | None = None

    def run(self, deaf: Deaf) -> RunResult:
        """Run it as often as asked, or until somebody interrupts it; the last result."""
        result = self.once(self.args.seed)
        for seed in range(self.args.seed + 1, self.args.seed + (self.args.repeat or 1)):
            if deaf.heard:
                break
            result = self.once(seed)
        return result

    def once(self, seed: int) -> RunResult:
        """One run; what it is the first to violate is told at once if that is asked for."""
        # Only here: the other commands run where the native helper does not.
        from uemu.live.program.schedule import DmaOptions
        from uemu.live.program.session import run_program

        args = self.args
        title = f"run {self.tally.runs + 1}, seed {seed}"
        if self.trace is not None and args.repeat is not None:
            self.trace.line(f"# {title}")
        dma = DmaOptions(args.dma, seed, args.hold_ms)
        result = run_program(self.program, self.policy, dma, self.note, self._events())
        if self.suppressions:
            from uemu.report.suppressions import suppress

            kept, counts = suppress(result.violations, self.suppressions)
            result = replace(result, violations=kept, suppressed=counts)
        for note in result.notes:
            self.note(note)
        if self.tally.add(result, seed) and self.tells:
            self.say(prefixed(f"{title}:"))
            self.say(violation_lines(result.violations))
            self.say(replay_lines(result.violations, self.policy, self.command(seed)))
            self.say(prefixed(""))
        if self.timeline is not None and (self.drawn is None or not self.drawn[1].violations):
            self.drawn = self.timeline, result, seed
        if result.violations and self.violating is None:
            self.violating = result
        return result

    def _events(self) -> Callable[[Event], None] | None:
        """What is given each event, if anything wants them."""
        wanted: list[Callable[[Event], None]] = []
        if self.trace is not None:
            wanted.append(self.event)
        if self.watch is not None:
            wanted.append(self.watch)
        if self.draws:
            # Only here: few ask for it.
            from uemu.report.timeline import Timeline

            self.timeline = Timeline(monotonic)
            wanted.append(self.timeline.event)
        if len(wanted) < 2:
            return wanted[0] if wanted else None

        def all_of_them(event: Event) -> None:
            for each in wanted:
                each(event)

        return all_of_them

    def command(self, seed: int) -> str:
        """What runs it again as that seed did."""
        args = self.args
        return run_command(self.program, self.policy, dma=args.dma, seed=seed, hold_ms=args.hold_ms)

    def note(self, text: str) -> None:
        """Say now what the program does that is not supported."""
        if text not in self.said:
            self.said.add(text)
            self.say(wrapped(text))

    def event(self, event: Event) -> None:
        """Write one event of the trace."""
        if self.trace is not None:
            before = PREFIX if self.trace.path == "-" else ""
            self.trace.line(before + trace_line(event))

    def say(self, lines: Iterable[str]) -> None:
        """Print lines for people."""
        for line in lines:
            self.out.line(line)
