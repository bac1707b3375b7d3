"""``uemu scenarios``."""

from __future__ import annotations

import json

from tests.cli.conftest import Uemu
from uemu.scenario.registry import SCENARIOS


def test_lists_every_scenario_with_its_actions(uemu: Uemu) -> None:
    done = uemu("scenarios")
    assert (done.status, done.err) == (0, "")
    names = [line.split()[0] for line in done.out.splitlines() if not line.startswith(" ")]
    assert names == list(SCENARIOS)
    assert "; if " not in done.out


def test_json_has_the_whole_summaries(uemu: Uemu) -> None:
    listed = json.loads(uemu("scenarios", "--json").out)
    assert listed == {
        "uemu": 1,
        "command": "scenarios",
        "scenarios": [{"name": name, "summary": each.summary} for name, each in SCENARIOS.items()],
    }
