"""One cell: what it showed, what was expected, what other orders and real processes showed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from uemu.errors import Blocked
from uemu.expected.cell import Expected
from uemu.explore import Schedule, replay
from uemu.matrix import run
from uemu.matrix.cells import CellName, How
from uemu.matrix.result import Live
from uemu.matrix.run import run_cell
from uemu.scenario import live
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario
from uemu.scenario.simulate import simulate
from uemu.scenario.verdict import Verdict
from uemu.scenario.world import SimulatedWorld

LOSSES = frozenset({"lost-dma-write", "dma-write-seen-by-other"})
BASELINE = CellName("linux-2.6.29", "lost-read")


def kinds_of(name: CellName, schedule: str | None) -> frozenset[str]:
    """What a schedule of a cell shows."""
    assert schedule is not None
    scenario = SCENARIOS[name.scenario]
    again = replay(lambda: SimulatedWorld(scenario, name.policy), Schedule.parse(schedule))
    return again.verdicts


def test_a_cell_that_loses_has_a_schedule_that_shows_it() -> None:
    cell = run_cell(BASELINE, How())
    assert cell.verdicts == cell.canonical == cell.expected.kinds == LOSSES
    assert (cell.schedules, cell.exhaustive, cell.live) == (1, False, None)
    assert cell.as_expected
    assert cell.as_live
    assert kinds_of(BASELINE, cell.schedule) == LOSSES


def test_a_cell_that_loses_nothing_has_none() -> None:
    cell = run_cell(CellName("linux-6.5", "lost-read"), How())
    assert (cell.verdicts, cell.schedule) == (frozenset(), None)


def test_a_cell_that_cannot_exist_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = replace(SCENARIOS["lost-read"], not_applicable=lambda hooks: f"not in {hooks.year}")
    monkeypatch.setitem(SCENARIOS, "lost-read", gone)
    monkeypatch.setattr(run, "find_expected", lambda *name: Expected(frozenset(), "cannot be"))
    cell = run_cell(BASELINE, How())
    assert (cell.reason, cell.schedules, cell.costs) == ("not in 2009", 0, None)
    assert cell.as_expected
    assert cell.as_json()["status"] == "not-applicable"


@pytest.mark.parametrize("kinds", [frozenset[str](), LOSSES | {"lost-store"}])
def test_what_is_not_expected_differs(
    monkeypatch: pytest.MonkeyPatch, kinds: frozenset[str]
) -> None:
    monkeypatch.setattr(run, "find_expected", lambda *name: Expected(kinds, "a mail"))
    assert not run_cell(BASELINE, How()).as_expected
    assert not run_cell(BASELINE, How(explore=True)).as_expected


def test_a_cell_that_nobody_expects_differs_if_it_shows_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing(*name: str) -> Expected:
        raise KeyError(name)

    monkeypatch.setattr(run, "find_expected", nothing)
    cell = run_cell(BASELINE, How())
    assert not cell.as_expected
    assert "does not name it" in cell.expected.reason


def test_explored_other_orders_add_to_what_is_shown_and_to_nothing_that_is_expected() -> None:
    name = CellName("arcangeli-2009-v2:norecheck", "gup-fast-vs-fork")
    cell = run_cell(name, How(explore=True))
    assert (cell.canonical, cell.verdicts) == (frozenset(), LOSSES)
    assert cell.exhaustive
    assert cell.schedules == 32
    assert cell.as_expected
    assert "lost-dma-write" in kinds_of(name, cell.schedule)


def test_a_bound_on_schedules_is_told() -> None:
    cell = run_cell(CellName("linux-6.5", "gup-fast-vs-fork"), How(explore=True, max_schedules=3))
    assert (cell.schedules, cell.exhaustive) == (3, False)


# Scale scenarios


def test_the_costs_of_a_scale_scenario_at_its_sizes_by_the_page_and_beyond() -> None:
    cell = run_cell(CellName("linux-5.8", "snapshot-writeout-cost"), How(growth=True))
    assert cell.as_expected
    costs = cell.as_json()["costs"]
    assert costs["cow_copies"] == 4
    growth = costs["growth"]
    assert set(growth) == {"measured", "per_page", "extrapolated"}
    told = [(each["pages"], each["cow_copies"]) for each in growth["measured"]]
    # A copy for each page, since gup breaks COW to read; 40 MiB, 1 GiB.
    assert told == [(4, 4), (68, 68), (132, 132), (196, 196)]
    told = [(each["pages"], each["cow_copies"]) for each in growth["extrapolated"]]
    assert told == [(10_240, 10_240), (262_144, 262_144)]
    assert growth["per_page"]["cow_copies"] == 1
    assert growth["per_page"]["faults"] == 0


def test_growth_is_told_only_where_it_was_asked_and_there_are_sizes() -> None:
    asked, scale = How(growth=True), CellName("linux-5.8", "snapshot-writeout-cost")
    assert "growth" not in run_cell(scale, How()).as_json()["costs"]
    assert "growth" not in run_cell(BASELINE, asked).as_json()["costs"]


def test_costs_that_do_not_grow_by_the_page_are_not_as_expected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unruly(scenario: Scenario, policy: str) -> None:
        raise ValueError("fork_copies does not grow by the page: 4, 16, 36")

    monkeypatch.setattr(run, "growth", unruly)
    cell = run_cell(BASELINE, How(growth=True))
    assert not cell.as_expected
    assert "fork_copies" in cell.unruly


# Real processes


@pytest.mark.needs_ptrace
def test_real_processes_show_the_same() -> None:
    cell = run_cell(BASELINE, How(live=True))
    assert cell.live == Live(LOSSES)
    assert cell.as_json()["live"] == {
        "verdicts": ["lost-dma-write", "dma-write-seen-by-other"],
    }


def test_what_real_processes_cannot_show_is_not_run_on_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hidden = replace(SCENARIOS["lost-read"], not_live="it needs a stale TLB entry")
    monkeypatch.setitem(SCENARIOS, "lost-read", hidden)
    assert run_cell(BASELINE, How(live=True)).live is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"violations": ()}, r"violations: \['lost-dma-write', .*\] simulated, \[\] on real"),
        ({"seen": (("child", b"x"),)}, r"loaded and read by devices: \(\) simulated, "),
    ],
)
def test_real_processes_that_do_something_else_are_told_of(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, tuple[object, ...]], why: str
) -> None:
    def other(scenario: Scenario, policy: str) -> Verdict:
        return replace(simulate(scenario, policy), **change)  # type: ignore[arg-type]

    monkeypatch.setattr(live, "run_live", other)
    cell = run_cell(BASELINE, How(live=True))
    assert not cell.as_live
    assert cell.as_expected
    assert cell.live is not None
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(cell.live.differs)


def test_a_live_run_that_comes_to_no_end_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def blocked(scenario: Scenario, policy: str) -> Verdict:
        raise Blocked("fork", "directio_sem")

    monkeypatch.setattr(live, "run_live", blocked)
    cell = run_cell(BASELINE, How(live=True))
    assert cell.live is not None
    assert cell.live.differs.startswith("Blocked: fork waits: directio_sem")
