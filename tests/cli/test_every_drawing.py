"""Every scenario, and every policy: text, data and picture tell the same, and fit.

Each scenario is drawn under every twelfth policy, beginning with another one each time, so
that each policy is drawn in every twelfth scenario.

The runs are found here, those a user sees first: with one preemption at most.
What a variant lacks a check against needs more of them; the reduction comes to
that sooner.
"""

from __future__ import annotations

from functools import cache

import pytest

from tests.common import exists
from tests.report import svg_reader, text_reader
from uemu.cli.names import WorldMaker
from uemu.cli.show import race_of
from uemu.explore import Run, explore, replay
from uemu.policy.registry import POLICIES
from uemu.report import svg
from uemu.report.drawing import NARROWEST, WIDTH, draw, draw_steps
from uemu.report.drawing_json import drawing_json
from uemu.report.race import Race
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.simulate import simulate

pytestmark = pytest.mark.once

EVERY_POLICY = [
    name
    for policy in POLICIES.values()
    for name in (policy.name, *(f"{policy.name}:{variant}" for variant in policy.variants))
]

LIVELOCK = 1000
"""Steps: who takes so many never comes to an end."""

TURN = 12
"""How many scenarios it takes until each policy had its turn."""

WAITED = "fork-blocked"
"""An explorer does not run what has to wait, so nobody waits in its orders."""


@cache
def found(scenario: str, policy: str) -> dict[str, Run]:
    """A run for each kind of violation that a short search finds."""
    maker = WorldMaker(SCENARIOS[scenario], policy)
    verdicts = explore(maker, max_preemptions=1, max_schedules=50).verdicts
    if verdicts and ":" in policy:
        verdicts |= explore(maker, max_schedules=400).verdicts
    return verdicts


def turn(scenario: str) -> list[str]:
    """The policies whose turn it is."""
    first = list(SCENARIOS).index(scenario) % TURN
    return [name for name in EVERY_POLICY[first::TURN] if exists(scenario, name)]


def test_each_policy_has_its_turn() -> None:
    assert {name for scenario in SCENARIOS for name in turn(scenario)} == set(EVERY_POLICY)


def races(scenario: str) -> list[Race]:
    """The violations of a scenario, and how each kernel ends it under x86-TSO."""
    drawn = []
    for policy in turn(scenario):
        maker = WorldMaker(SCENARIOS[scenario], policy)
        drawn += [race_of(maker, run) for run in found(scenario, policy).values()]
        tso = WorldMaker(SCENARIOS[scenario], policy, memory_model="tso")
        drawn.append(race_of(tso, replay(tso, ())))
    # What goes round and round is not drawn whole.
    return [race for race in drawn if len(race.run.records) < LIVELOCK]


def steps_of(race: Race) -> list[tuple[str, ...]]:
    """What the data say, without spaces."""
    keys = ("index", "cpu", "function", "note", "state")
    return [
        tuple("".join(str(step[key]).split()) for key in keys)
        for step in drawing_json(race)["steps"]
    ]


def text_of(race: Race) -> str:
    """What the terminal shows."""
    return draw(race.scenario, race.run, remark=race.remark)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_text_data_and_picture_tell_the_same_steps_and_fit(scenario: str) -> None:
    for race in races(scenario):
        text, picture = text_of(race), svg.draw_svg([race])
        assert max(map(len, text.splitlines())) <= WIDTH < 100, text
        assert race.run.records, race.title
        assert steps_of(race) == text_reader.told(text) == svg_reader.told(picture), text
        assert _widest(picture) <= svg.WIDTH * svg.CHARACTER + 2 * svg.MARGIN + 1, race.title


def _widest(picture: str) -> float:
    root = svg_reader.root(picture)
    right = max(line.right for line in svg_reader.lines(root)) + svg.MARGIN
    width = float(root.get("width", "0"))
    assert right <= width + 1
    return width


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nothing_that_shows_in_a_scenarios_own_order_is_left_out(scenario: str) -> None:
    for policy in turn(scenario):
        shown = simulate(SCENARIOS[scenario], policy).kinds - {WAITED}
        assert shown <= found(scenario, policy).keys()


@pytest.mark.parametrize("width", [NARROWEST, 80])
def test_a_narrow_terminal_is_told_the_same_but_for_cut_notes(width: int) -> None:
    (race,) = _child_corrupted()
    lines = draw_steps(race.run.records, width)
    assert max(map(len, lines)) <= width
    for narrow, step in zip(text_reader.told("\n".join(lines)), steps_of(race), strict=True):
        assert narrow[:3] + narrow[4:] == step[:3] + step[4:]
        assert step[3].startswith(narrow[3].removesuffix("..."))


def _child_corrupted() -> list[Race]:
    maker = WorldMaker(SCENARIOS["child-corrupted"], "linux-2.6.29")
    return [race_of(maker, run) for run in found("child-corrupted", "linux-2.6.29").values()]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("put_page", "get_page"),
        ("interrupts off", "interrupts on "),
        ("    3 ", "    4 "),
        ("fork", "frok"),
        ("0: 3/2 2/2\n", "0: 3/2 2/1\n"),
    ],
)
def test_a_drawing_that_tells_something_else_is_noticed(old: str, new: str) -> None:
    (race,) = _child_corrupted()
    text, picture = text_of(race), svg.draw_svg([race])
    assert old in text
    assert text_reader.told(text.replace(old, new)) != steps_of(race)
    old, new = old.strip(), new.strip()
    assert svg_reader.told(picture.replace(f">{old}<", f">{new}<")) != steps_of(race)


def test_a_drawing_that_leaves_a_step_out_is_noticed() -> None:
    (race,) = _child_corrupted()
    lines = text_of(race).splitlines()
    assert text_reader.told("\n".join(lines[:-1])) == steps_of(race)[:-1] != steps_of(race)
