"""``uemu matrix --html``: the cells that were run, as a page.

A cell that violates something is run once more, for its story and its drawing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from uemu.cli.names import WorldMaker
from uemu.cli.show import LEGEND, violations_of
from uemu.explore import Schedule, replay
from uemu.explore.execution import StepRecord
from uemu.matrix.cells import CellName
from uemu.matrix.costs import MeasuredWorld
from uemu.matrix.result import Cell
from uemu.oracle.violations import Violation
from uemu.policy.registry import make_policy
from uemu.report.costs_table import HEADS
from uemu.report.html.matrix import Detail, Family, PolicyRow, matrix_page
from uemu.report.matrix_table import Shown
from uemu.report.story import story_texts, verdict_text
from uemu.scenario.families import by_family
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.simulate import tell


def page_of(
    names: Sequence[CellName],
    cells: Mapping[CellName, tuple[Cell, Shown]],
    lead: str,
    *,
    live: bool = False,
) -> str:
    """The document.

    Args:
        names: the cells that were asked for.
        cells: those that were run, and what the table shows of them.
        lead: how many there are of each sort, in a sentence.
        live: whether real processes were asked.
    """
    policies = dict.fromkeys(name.policy for name in names)
    families = by_family(dict.fromkeys(name.scenario for name in names))
    return matrix_page(
        [_row(policy) for policy in policies],
        [
            Family(title, {name: SCENARIOS[name].summary for name in scenarios})
            for title, scenarios in families.items()
        ],
        {
            (name.policy, name.scenario): _detail(cell, shown, live)
            for name, (cell, shown) in cells.items()
        },
        lead=lead,
        legend=LEGEND,
    )


def _row(policy: str) -> PolicyRow:
    hooks = make_policy(policy)
    variant = policy.partition(":")[2]
    return PolicyRow(policy, hooks.year, hooks.variants[variant] if variant else hooks.summary)


def _detail(cell: Cell, shown: Shown, live: bool) -> Detail:
    seen = _seen(cell) if shown.kinds or shown.others else _Seen()
    return Detail(
        shown,
        cell.reason or "",
        expected=cell.expected.kinds,
        because=cell.expected.reason,
        differs=_difference(cell),
        live=_live(cell) if live and cell.reason is None else "",
        disagrees=not cell.as_live,
        orders=_orders(cell),
        stories=story_texts(seen.violations),
        steps=seen.steps,
        replay=seen.replay,
        costs=_costs(cell),
    )


class _Seen(NamedTuple):
    """A run that violates something: what, by which steps, and how to run it again."""

    violations: Sequence[Violation] = ()
    steps: Sequence[StepRecord] = ()
    replay: str = ""


def _seen(cell: Cell) -> _Seen:
    scenario, policy = SCENARIOS[cell.name.scenario], cell.name.policy
    maker = WorldMaker(scenario, policy)
    if cell.canonical:
        # Also what no schedule shows: that a fork waited, and went on.
        world = MeasuredWorld(scenario, policy)
        violations: Sequence[Violation] = tell(world).violations
        world.stop()
        run = replay(maker, world.schedule)
    else:
        assert cell.schedule is not None, "other orders alone show it: then there is one"
        run = replay(maker, Schedule.parse(cell.schedule))
        violations = violations_of(maker, run)
        # What ended the run before its end is no violation that the oracle saw.
        ends = run.verdicts - {violation.kind for violation in violations}
        violations = [
            *violations,
            *(Violation(kind, 0, 0, 0, None, run.message, ()) for kind in ends),
        ]
    return _Seen(violations, run.records, maker.replay_command(run.schedule))


def _difference(cell: Cell) -> str:
    if cell.unruly or cell.as_expected:
        return cell.unruly
    return f"{verdict_text(cell.canonical)}, not {verdict_text(cell.expected.kinds)}"


def _live(cell: Cell) -> str:
    if cell.live is None:
        return f"not run on them: {SCENARIOS[cell.name.scenario].not_live}"
    return cell.live.differs or f"the same: {verdict_text(cell.live.verdicts)}"


def _orders(cell: Cell) -> str:
    if not cell.schedules:
        return ""
    if cell.exhaustive:
        return f"{cell.schedules}, which stand for all there are"
    return "the canonical one" if cell.schedules == 1 else f"{cell.schedules}, not all there are"


def _costs(cell: Cell) -> dict[str, dict[str, str]]:
    """What it cost, and what each page more does; figures of 0 are left out."""
    told: dict[str, Mapping[str, object]] = {}
    if cell.costs is not None:
        told["Costs"] = cell.costs.as_json()
    if cell.growth is not None:
        told["By the page"] = cell.growth.per_page()
    return {
        title: {
            " ".join(HEADS[figure]).strip(): str(value)
            for figure, value in figures.items()
            if str(value) != "0"
        }
        for title, figures in told.items()
    }
