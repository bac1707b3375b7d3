"""A schedule on real processes: run, compared with the simulated run, and told."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, zip_longest
from typing import Any

from uemu.cli.names import WorldMaker
from uemu.errors import Disagreement, HostError, ProcessDied
from uemu.events import Seen
from uemu.explore import Run, ScheduleError, replay
from uemu.explore.execution import StepRecord
from uemu.live.stepped.cpus import Tally
from uemu.live.stepped.hardware import LiveHardware
from uemu.live.stepped.processes import TookPart
from uemu.oracle.violations import Violation
from uemu.report.drawing import WIDTH
from uemu.report.story import in_order, verdict_text
from uemu.scenario.world import SteppedWorld

MOST_RUNS = 6
"""So many stretches of equal bytes of a page are told."""


@dataclass(frozen=True, slots=True)
class LiveReplay:
    """What real processes did.

    Attributes:
        run: the same steps, the same verdicts as the simulated run.
        violations: what the oracle says of what was really loaded and stored.
        took_part: the processes, in the order of their births.
        tally: what their instructions did.
        shown: what each process saw in the end.
    """

    run: Run
    violations: tuple[Violation, ...]
    took_part: tuple[TookPart, ...]
    tally: Tally
    shown: tuple[Seen, ...]


def replay_live(maker: WorldMaker, schedule: Sequence[int]) -> LiveReplay:
    """Run a schedule on the simulated MMU and on real processes; no process is left behind.

    Raises:
        ScheduleError: the schedule does not fit.
        HostError: this machine cannot, or somebody killed one of the processes.
        Disagreement: the two runs are not the same; that is a mistake in uemu.
    """
    expected = replay(maker, schedule)
    model = maker.last
    assert model is not None
    with LiveHardware() as hardware:
        try:
            run, world = hardware.call(lambda: _run(maker, hardware, expected.schedule))
        except ScheduleError as error:
            raise Disagreement(f"{maker}: on real processes {error}") from error
        except ProcessDied as died:
            raise HostError("replay on real processes", str(died), "Run it again.") from died
        took_part, tally = tuple(hardware.processes.took_part), hardware.cpus.tally
    for what, simulated, live in _facets(expected, model, run, world):
        if simulated != live:
            raise Disagreement(
                f"{maker}, {expected.schedule}: {what}: {simulated} simulated, {live} on real"
                " processes"
            )
    return LiveReplay(run, tuple(world.oracle.violations), took_part, tally, tuple(world.shown))


def _run(
    maker: WorldMaker, hardware: LiveHardware, schedule: Sequence[int]
) -> tuple[Run, SteppedWorld]:
    world = SteppedWorld(
        maker.scenario,
        maker.policy,
        hardware,
        ipi_waits_for_gup_fast=maker.ipi_wait,
        tso=maker.memory_model == "tso",
    )
    return replay(lambda: world, schedule), world


def _facets(
    expected: Run, model: SteppedWorld, run: Run, world: SteppedWorld
) -> Iterator[tuple[str, object, object]]:
    """What has to be the same: its name, and as it is in each of the two runs."""
    for index, (one, two) in enumerate(zip_longest(expected.records, run.records)):
        yield f"step {index}", _step(one), _step(two)
    yield "verdicts", sorted(expected.verdicts), sorted(run.verdicts)
    yield "message", expected.message, run.message
    yield "loaded", model.seen, world.seen
    yield "violations", model.oracle.violations, world.oracle.violations
    for one, two in zip_longest(model.shown, world.shown):
        yield "in the end", _page(one), _page(two)


def _page(seen: Seen | None) -> tuple[object, ...] | None:
    """A page that is shown; its bytes in brief are enough to tell, and all of them to compare."""
    if seen is None:
        return None
    return seen.mm, hex(seen.base), seen.pfn, _Bytes(seen.data)


class _Bytes(bytes):
    """Bytes that are short when printed."""

    def __repr__(self) -> str:
        return f"<{bytes_in_brief(self)}>"


def _step(record: StepRecord | None) -> tuple[str, str, str, str] | None:
    """A step without the cells it touched: a real TLB is no cell."""
    if record is None:
        return None
    return record.task_name, record.step.fn, record.step.what, record.state


# Telling ------------------------------------------------------------------------------------


def live_lines(live: LiveReplay) -> list[str]:
    """Who took part and what they saw, in lines."""
    tally = live.tally
    return [
        f"On real processes, step by step: {verdict_text(live.run.verdicts)}, as simulated.",
        "",
        *_processes(live.took_part),
        "",
        f"{tally.stores} stores, {tally.loads} loads, {tally.traps} SIGSEGVs, by real"
        f" instructions; {tally.stale} went through a stale TLB entry.",
        *_shown(live),
    ]


def _processes(took_part: Sequence[TookPart]) -> list[str]:
    lines = ["A CPU is a process here; what that has mapped is the CPU's TLB."]
    width = max(len(each.space) for each in took_part)
    for each in took_part:
        forked = f", forked by {each.parent}" if each.parent else ""
        what = f"the CPU of {each.cpu}" if each.cpu else "looks through the page table"
        lines.append(f"  {each.space:{width}}  pid {each.pid}: {what}{forked}")
    return lines


def _shown(live: LiveReplay) -> list[str]:
    if not live.shown:
        return ["The run ended before the processes could look at their memory."]
    lines = ["What each sees in the end, loaded by it:"]
    lookers = {each.mm: each for each in live.took_part if not each.cpu}
    width = max(len(each.space) for each in lookers.values())
    for page in live.shown:
        who = lookers[page.mm]
        line = (
            f"  {who.space:{width}}  pid {who.pid}: {page.base:#x}  {bytes_in_brief(page.data)}"
            f"  (pfn {page.pfn})"
        )
        lines += textwrap.wrap(line, WIDTH, subsequent_indent="      ")
    return lines


def live_json(live: LiveReplay) -> dict[str, Any]:
    """The same for programs."""
    spaces = {each.mm: each for each in live.took_part if not each.cpu}
    return {
        "verdicts": in_order(live.run.verdicts),
        "processes": [
            {"pid": each.pid, "parent": each.parent or None, "name": each.space,
             "cpu": each.cpu or None}
            for each in live.took_part
        ],
        **asdict(live.tally),
        "seen": [
            {"pid": spaces[page.mm].pid, "address": page.base, "pfn": page.pfn,
             "bytes": bytes_in_brief(page.data)}
            for page in live.shown
        ],
    }  # fmt: skip


def bytes_in_brief(data: bytes) -> str:
    """``P, 4095 x I``: stretches of equal bytes."""
    stretches = [(value, len(list(same))) for value, same in groupby(data)]
    told = [_stretch(value, length) for value, length in stretches[:MOST_RUNS]]
    return ", ".join(told + ["..."] * (len(stretches) > MOST_RUNS))


def _stretch(value: int, length: int) -> str:
    text = chr(value) if 0x21 <= value < 0x7F else f"\\x{value:02x}"
    return text if length == 1 else f"{length} x {text}"
