"""The picture of a race: well-formed, complete, and safe whatever the labels say."""

from __future__ import annotations

from xml.etree import ElementTree

from uemu.explore import Run, StepRecord, replay
from uemu.explore.schedule import Schedule
from uemu.report.svg import draw_svg
from uemu.scenario.registry import find_scenario
from uemu.scenario.world import SimulatedWorld
from uemu.step import Step

SVG = "{http://www.w3.org/2000/svg}"
RACE = Schedule.parse("uemu1:00011101111111100")


def torvalds_race() -> Run:
    scenario = find_scenario("gup-fast-vs-fork")
    return replay(lambda: SimulatedWorld(scenario, "arcangeli-2009-v2:norecheck"), RACE)


def texts(document: str, kind: str) -> list[str]:
    root = ElementTree.fromstring(document)
    return [node.text or "" for node in root.iter(f"{SVG}text") if node.get("class") == kind]


def test_every_step_has_its_box_in_its_column() -> None:
    run = torvalds_race()
    document = draw_svg("gup-fast-vs-fork", run, remark="norecheck")
    assert texts(document, "step") == [record.step.fn for record in run.records]
    boxes = [
        node
        for node in ElementTree.fromstring(document).iter(f"{SVG}rect")
        if not node.get("class")
    ]
    assert len({box.get("x") for box in boxes}) == 2
    lefts: dict[int, set[str | None]] = {0: set(), 1: set()}
    for record, box in zip(run.records, boxes, strict=True):
        lefts[record.task_index].add(box.get("x"))
    assert [len(column) for column in lefts.values()] == [1, 1]


def test_the_title_says_what_was_violated_and_how_to_replay_it() -> None:
    run = torvalds_race()
    document = draw_svg("gup-fast-vs-fork", run, remark="norecheck")
    heads = texts(document, "head")
    assert heads[0] == "gup-fast-vs-fork -> lost-dma-write, dma-write-seen-by-other (norecheck)"
    assert heads[1:] == ["io", "fork", "note", "state"]
    assert str(run.schedule) in texts(document, "note")


def test_it_lies_inside_its_frame() -> None:
    root = ElementTree.fromstring(draw_svg("gup-fast-vs-fork", torvalds_race()))
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    for box in root.iter(f"{SVG}rect"):
        if not box.get("class"):
            right = float(box.get("x", "0")) + float(box.get("width", "0"))
            bottom = float(box.get("y", "0")) + float(box.get("height", "0"))
            assert right <= width
            assert bottom <= height


def test_signs_of_markup_in_a_label_are_text() -> None:
    record = StepRecord(0, 0, "a<b", Step("f&g", "x < y"), "0: 1/1", frozenset(), frozenset())
    document = draw_svg("toy", Run(Schedule((0,)), (record,), frozenset()))
    assert texts(document, "step") == ["f&g"]
    assert texts(document, "note")[-1] == "x < y"


def test_both_colour_schemes_are_there_and_nothing_comes_from_elsewhere() -> None:
    document = draw_svg("gup-fast-vs-fork", torvalds_race())
    assert "prefers-color-scheme: dark" in document
    assert document.count("http") == 1  # the name of the format
    assert "<script" not in document
