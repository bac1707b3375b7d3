"""The drawing as data: complete, and nothing in it is folded or cut."""

from __future__ import annotations

import json

from tests.report.runs import MadeRun, MadeStep, made_run
from uemu.report.drawing import FIRST, LAST
from uemu.report.drawing_json import drawing_json
from uemu.report.race import Race
from uemu.step import Step


def test_has_the_columns_the_steps_and_the_words_around_them() -> None:
    run = made_run(
        ["io", "fork", "cpu"],
        ("cpu", "store", "b'W' -> parent", "0: 3/2"),
        ("io", "dma", "b'D' -> pfn 0", "1: 2/1 1/1"),
        verdicts="dma-write-seen-by-other lost-dma-write",
    )
    race = Race("lost-read", run, "norecheck", ["e exclusive"], "uemu replay lost-read")
    assert drawing_json(race) == {
        "title": "Race: lost-read uemu1:20 -> lost-dma-write, dma-write-seen-by-other (norecheck)",
        "schedule": "uemu1:20",
        "verdicts": ["lost-dma-write", "dma-write-seen-by-other"],
        "cpus": [{"task": 0, "name": "io"}, {"task": 2, "name": "cpu"}],
        "steps": [
            {"index": 0, "task": 2, "cpu": "cpu", "function": "store", "note": "b'W' -> parent",
             "state": "0: 3/2"},
            {"index": 1, "task": 0, "cpu": "io", "function": "dma", "note": "b'D' -> pfn 0",
             "state": "1: 2/1 1/1"},
        ],
        "legend": ["e exclusive"],
        "replay": "uemu replay lost-read",
    }  # fmt: skip


def test_cpus_of_one_name_stay_two() -> None:
    steps = [MadeStep(at, at, "child", Step("store"), "") for at in (0, 1)]
    drawing = drawing_json(Race("x", MadeRun("uemu1:01", steps)))
    assert drawing["cpus"] == [{"task": 0, "name": "child"}, {"task": 1, "name": "child"}]
    assert [step["task"] for step in drawing["steps"]] == [0, 1]


def test_of_an_endless_run_it_has_every_step_whole() -> None:
    nr_steps, note = FIRST + LAST + 700, "again and again " * 20
    run = made_run(["io"], *[("io", "gup", note, "0: 1/1")] * nr_steps)
    steps = drawing_json(Race("x", run))["steps"]
    assert [step["index"] for step in steps] == list(range(nr_steps))
    assert {step["note"] for step in steps} == {note}


def test_is_plain_json() -> None:
    drawing = drawing_json(Race("x", made_run(["io"], ("io", "dma", "", ""))))
    assert json.loads(json.dumps(drawing)) == drawing
