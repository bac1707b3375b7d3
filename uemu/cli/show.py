"""Showing a run: its violations with their stories, the drawing, the way back."""

from __future__ import annotations

import textwrap

from rich.console import Console

from uemu.cli.names import WorldMaker
from uemu.cli.output import print_lines, print_wrapped
from uemu.explore import Run, replay
from uemu.oracle.violations import Violation
from uemu.report.drawing import WIDTH, draw_steps, title
from uemu.report.race import Race
from uemu.report.story import in_order, told_together, verdict_lines
from uemu.report.way_back import way_back
from uemu.scenario.state import FLAG_LETTERS

LEGEND = (
    "State: the frame that the parent maps at the buffer, then count/mapcount of pfn 0, 1, ...",
    "       +p a pin, " + ", ".join(f"{sign} {flag}" for flag, sign in FLAG_LETTERS.items()),
)

HUGE_LEGEND = "       ~ what the first page of its huge page has"


def legend_of(run: Run) -> tuple[str, ...]:
    """What the signs of a drawing's states mean."""
    huge = any("~" in record.state for record in run.records)
    return (*LEGEND, HUGE_LEGEND) if huge else LEGEND


def violations_of(maker: WorldMaker, run: Run) -> list[Violation]:
    """What the oracle says about a run: it takes place once more to be asked."""
    replay(maker, run.schedule)
    return list(maker.last.oracle.violations) if maker.last is not None else []


def race_of(maker: WorldMaker, run: Run) -> Race:
    """A run with the words that stand around its drawing."""
    command = maker.replay_command(run.schedule)
    return Race(maker.scenario.name, run, maker.remark, legend_of(run), command)


def show_run(console: Console, maker: WorldMaker, run: Run) -> None:
    """Print everything about a run; the last line replays it."""
    violations = violations_of(maker, run)
    width = min(console.width, WIDTH)
    told = told_together(violations, width=width)
    # What ended the run before its end is no violation that the oracle saw.
    seen = {violation.kind for violation in violations}
    told += [
        (verdict_lines(kind, run.message, width=width), [])
        for kind in in_order(run.verdicts - seen)
    ]
    for verdicts, story in told:
        print_lines(console, *verdicts, style="bold red")
        print_lines(console, *story, "")
    scenario = maker.scenario.name
    heads = title(scenario, run, remark=maker.remark, width=width)
    print_lines(console, *heads, style="bold")
    legend = [
        line
        for text in legend_of(run)
        for line in textwrap.wrap(text, width, subsequent_indent=" " * len("State: "))
    ]
    print_lines(console, "", *draw_steps(run.records, width), "", *legend, "")
    command = maker.replay_command(run.schedule)
    verdict, replay_line = way_back(scenario, maker.policy, run.verdicts, command)
    print_wrapped(console, verdict, style="bold red" if run.verdicts else "bold green")
    print_lines(console, replay_line, style="bold")
