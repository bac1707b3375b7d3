"""One cell: the canonical run, every order of steps, real processes."""

from __future__ import annotations

from functools import partial

from uemu.errors import Blocked, InvariantError, ProcessDied
from uemu.expected.cell import Expected
from uemu.expected.lookup import find_expected
from uemu.explore import Exploration, explore, shrink
from uemu.matrix.cells import CellName, How
from uemu.matrix.costs import MeasuredWorld
from uemu.matrix.growth import Growth, growth
from uemu.matrix.result import Cell, Live, ordered
from uemu.policy.registry import make_policy
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.simulate import tell
from uemu.scenario.verdict import Verdict
from uemu.scenario.world import SimulatedWorld

SHRINK_EXECUTIONS = 200
"""So much effort is spent on a schedule that shows a violation."""

UNTOLD = Expected(frozenset(), "nothing is expected of this cell: uemu/expected does not name it")


def run_cell(name: CellName, how: How) -> Cell:
    """Run a cell.

    Raises:
        HostError: this machine cannot trace real processes.
    """
    policy, scenario = name.policy, SCENARIOS[name.scenario]
    try:
        expected = find_expected(*reversed(name))
    except KeyError:
        expected = UNTOLD
    reason = scenario.not_applicable(make_policy(policy))
    if reason is not None:
        return Cell(name, expected, reason)
    world = MeasuredWorld(scenario, policy)
    told = tell(world)
    world.stop()
    # A fork that waited and went on is seen by who gives the turns, and by no schedule.
    shown = told.kinds - {"fork-blocked"}
    schedule = str(world.schedule) if shown else None
    found = _explored(name, how) if how.explore else None
    if found is not None and found.verdicts and schedule is None:
        schedule = _short(name, found)
    grows, unruly = _growth(name) if how.growth else (None, "")
    live = _live(name, told) if how.live and scenario.not_live is None else None
    return Cell(
        name,
        expected,
        canonical=told.kinds,
        verdicts=told.kinds.union(found.verdicts if found is not None else ()),
        schedules=found.schedules if found is not None else 1,
        exhaustive=found is not None and found.exhaustive,
        schedule=schedule,
        live=live,
        costs=world.costs,
        growth=grows,
        unruly=unruly,
    )


def _growth(name: CellName) -> tuple[Growth | None, str]:
    """How the costs grow, and why that cannot be told, if it cannot."""
    try:
        return growth(SCENARIOS[name.scenario], name.policy), ""
    except ValueError as error:
        return None, str(error)


def _explored(name: CellName, how: How) -> Exploration:
    factory = partial(SimulatedWorld, SCENARIOS[name.scenario], name.policy)
    found = explore(factory, max_schedules=how.max_schedules, max_seconds=how.max_seconds)
    if found.interrupted:
        raise KeyboardInterrupt
    return found


def _short(name: CellName, found: Exploration) -> str:
    """A short order that shows the first of what was found."""
    factory = partial(SimulatedWorld, SCENARIOS[name.scenario], name.policy)
    kind = (ordered(found.verdicts) or sorted(found.verdicts))[0]
    run = shrink(factory, found.verdicts[kind], kind, max_executions=SHRINK_EXECUTIONS)
    return str(run.schedule)


def _live(name: CellName, told: Verdict) -> Live:
    """The canonical run on real processes; whatever goes wrong there, other cells are run."""
    # Needs the native helper, which nothing else here does.
    from uemu.scenario.live import run_live

    try:
        live = run_live(SCENARIOS[name.scenario], name.policy)
    except (Blocked, InvariantError, ProcessDied) as error:
        return Live(frozenset(), f"{type(error).__name__}: {error}")
    return Live(live.kinds, _difference(told, live))


def _difference(told: Verdict, live: Verdict) -> str:
    """In what two runs differ first, in words."""
    for what, one, two in (
        ("violations", ordered(told.kinds), ordered(live.kinds)),
        ("loaded and read by devices", told.seen, live.seen),
        ("told", [each.message for each in told.violations],
         [each.message for each in live.violations]),
    ):  # fmt: skip
        if one != two:
            return f"{what}: {one} simulated, {two} on real processes"
    return ""
