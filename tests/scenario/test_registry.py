"""Scenarios by name, and what every one of them keeps to."""

from __future__ import annotations

import re

import pytest

from uemu.scenario.registry import SCENARIOS, find_scenario
from uemu.scenario.script import Scenario

every = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())


def test_a_scenario_is_found_by_its_name() -> None:
    assert find_scenario("lost-read") is SCENARIOS["lost-read"]


@pytest.mark.parametrize(
    ("name", "near"), [("lost-raed", "lost-read"), ("reverse", "reverse-race"), ("x", "dontfork")]
)
def test_an_unknown_one_names_the_nearest(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"unknown scenario '{name}'; nearest: .*{near}"):
        find_scenario(name)


@every
def test_its_summary_says_who_sees_what_if_a_rule_is_missed(scenario: Scenario) -> None:
    assert re.fullmatch(
        r"[^;]+; if .+, the (parent|child|device|first reader) .+", scenario.summary
    )
    assert not scenario.summary.endswith(".")


@every
def test_its_order_names_every_thread_and_child(scenario: Scenario) -> None:
    assert set(scenario.order.split()) == {*scenario.threads, *scenario.children}


@every
def test_its_module_tells_the_rule_and_the_source(scenario: Scenario) -> None:
    module = __import__(f"uemu.scenario.{scenario.name.replace('-', '_')}", fromlist=["SCENARIO"])
    assert module.SCENARIO is scenario
    doc = module.__doc__ or ""
    assert "\nRule: " in doc
    assert "\nSource: " in doc
