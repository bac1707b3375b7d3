"""The picture of races: well-formed, complete, and safe whatever the labels say."""

from __future__ import annotations

import re
import string
from itertools import pairwise

import pytest

from tests.report.runs import MadeRun, made_run
from tests.report.svg_reader import SVG, boxes, lines, root, rows, texts, told, words
from uemu.report.drawing import FIRST, LAST
from uemu.report.race import Race
from uemu.report.svg import BETWEEN, CHARACTER, MARGIN, WIDTH, draw_svg

RUN = made_run(
    ["io", "fork", "cpu"],
    ("io", "follow_page", "hold page", "0: 2/1"),
    ("fork", "dup_mmap", "list the ptes", "0: 2/1"),
    ("fork", "copy_one_pte", "share read-only", "0: 3/2"),
    ("cpu", "store", "b'W' -> parent", "0: 3/2"),
    ("io", "dma", "b'D' -> pfn 0", "1: 2/1 1/1"),
    verdicts="lost-dma-write",
)
RACE = Race(
    "lost-read", RUN, "norecheck", ["State: counts", "       e exclusive"], "uemu replay it"
)


def race(nr_tasks: int, nr_steps: int, function: str, note: str, state: str) -> Race:
    """A race of many tasks or long words."""
    tasks = [f"task{letter}" for letter in (string.ascii_lowercase * 2)[:nr_tasks]]
    steps = [(tasks[at % nr_tasks], function, note, state) for at in range(nr_steps)]
    run = made_run(tasks, *steps, verdicts="lost-dma-write dma-write-seen-by-other")
    return Race("two-readers-one-page", run, "norecheck", ["State: " + state], "uemu replay x")


RACES = [
    RACE,
    race(1, 3, "get_page", "", ""),
    race(5, 40, "page_try_dup_anon_rmap", "exclusive and pinned ?", "1: 2/1e 1/1"),
    race(36, 40, "page_try_dup_anon_rmap", "exclusive and pinned ?", "1: 2/1e 1/1"),
    race(3, 9, "f" * 60, "mmap_sem for writing " * 9, "0: " + "1/1 " * 40),
    Race("empty", MadeRun("uemu1:", [])),
]


def test_every_step_has_its_box_in_the_column_of_its_cpu() -> None:
    document = draw_svg([RACE])
    heads = dict(zip(["#", "io", "fork", "cpu", "note", "state"], lines(root(document))[1:7],
                     strict=True))  # fmt: skip
    for record, row in zip(RUN.records, rows(document), strict=True):
        (box,) = boxes(row)
        (step,) = (line for line in lines(row) if line.text == record.step.fn)
        assert step.x == heads[record.task_name].x
        assert box["x"] < step.x < step.right < box["x"] + box["width"]
        assert box["y"] < step.y < box["y"] + box["height"]


def test_each_row_tells_the_step() -> None:
    assert told(draw_svg([RACE])) == [
        ("0", "io", "follow_page", "holdpage", "0:2/1"),
        ("1", "fork", "dup_mmap", "listtheptes", "0:2/1"),
        ("2", "fork", "copy_one_pte", "shareread-only", "0:3/2"),
        ("3", "cpu", "store", "b'W'->parent", "0:3/2"),
        ("4", "io", "dma", "b'D'->pfn0", "1:2/11/1"),
    ]


def test_a_line_is_plain_where_the_cpu_went_on_and_dashed_where_others_ran() -> None:
    drawn = [
        [line.get("class") for line in row.iter(f"{SVG}line")] for row in rows(draw_svg([RACE]))
    ]
    assert drawn == [[], [], ["on"], [], ["left"]]


def test_a_line_joins_two_boxes_of_one_column() -> None:
    document = draw_svg([RACE])
    every = boxes(root(document))
    for line in root(document).iter(f"{SVG}line"):
        x, top, bottom = (float(line.get(name, "nan")) for name in ("x1", "y1", "y2"))
        ends = [box for box in every if box["x"] < x < box["x"] + box["width"]]
        assert top in [box["y"] + box["height"] for box in ends]
        assert bottom in [box["y"] for box in ends]


def test_around_the_steps_stand_the_title_the_legend_and_the_way_back() -> None:
    document = draw_svg([RACE])
    heads = [line.text for line in lines(root(document))]
    assert heads[0] == "Race: lost-read uemu1:01120 -> lost-dma-write (norecheck)"
    assert heads[1:7] == ["#", "io", "fork", "cpu", "note", "state"]
    assert heads[-3:] == ["State: counts", "       e exclusive", "replay:  uemu replay it"]


@pytest.mark.parametrize("number", range(len(RACES)))
def test_it_lies_inside_its_frame_and_no_text_meets_another(number: int) -> None:
    document = draw_svg([RACES[number]], heads=["x under y: no violation", "9 schedules"])
    picture = root(document)
    width, height = float(picture.get("width", "0")), float(picture.get("height", "0"))
    assert picture.get("viewBox") == f"0 0 {width:.0f} {height:.0f}"
    for line in lines(picture):
        assert line.x >= MARGIN
        assert line.right <= width - MARGIN + 1
        assert line.y <= height - MARGIN
    for box in [*boxes(picture), *boxes(picture, "band")]:
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    for one, two in pairwise(sorted(lines(picture), key=lambda line: (line.y, line.x))):
        if one.y == two.y:
            assert one.right < two.x
        else:
            assert two.y - one.y >= 12 or two.x > one.right or one.x > two.right
    tops = sorted((box["y"], box["height"]) for box in boxes(picture))
    for (top, high), (below, _) in pairwise(tops):
        assert top + high + BETWEEN <= below + 0.2


@pytest.mark.parametrize("number", range(len(RACES)))
def test_nothing_is_cut(number: int) -> None:
    expected = [
        (str(record.index), record.task_name, *("".join(each.split()) for each in (
            record.step.fn, record.step.what, record.state)))
        for record in RACES[number].run.records
    ]  # fmt: skip
    assert told(draw_svg([RACES[number]])) == expected


def test_a_table_is_as_wide_as_it_has_to_be() -> None:
    widths = [float(root(draw_svg([each])).get("width", "0")) for each in RACES]
    assert max(widths[:3]) <= WIDTH * CHARACTER + 2 * MARGIN + 1 < widths[3]
    assert widths[0] < widths[2]


def test_several_races_stand_below_each_other() -> None:
    one, two = draw_svg([RACE]), draw_svg([RACE, RACES[1], RACE], heads=["all of it"])
    alone = told(one)
    assert told(two) == [*alone, *told(draw_svg([RACES[1]])), *alone]
    ys = [line.y for row in rows(two) for line in lines(row)[:1]]
    assert ys == sorted(set(ys))
    assert texts(two, "head")[0] == "allofit"


def test_without_a_race_what_was_searched_stands_alone() -> None:
    document = draw_svg([], heads=["x under y: no violation", "9 schedules: exhaustive"])
    assert [line.text for line in lines(root(document))] == [
        "x under y: no violation",
        "9 schedules: exhaustive",
    ]
    assert root(document).findtext(f"{SVG}title") == "x under y: no violation"
    assert float(root(document).get("height", "0")) > 2 * MARGIN


def test_who_cannot_see_it_is_told_all_of_it() -> None:
    picture = root(draw_svg([RACE], heads=["lost-read: lost-dma-write", "9 schedules"]))
    assert picture.get("role") == "img"
    assert [child.tag for child in picture][:2] == [f"{SVG}title", f"{SVG}desc"]
    assert picture.findtext(f"{SVG}title") == "lost-read: lost-dma-write"
    assert (picture.findtext(f"{SVG}desc") or "").splitlines() == [
        "lost-read: lost-dma-write",
        "9 schedules",
        "Race: lost-read uemu1:01120 -> lost-dma-write (norecheck)",
        "CPUs: io, fork, cpu",
        "0. io: follow_page, hold page [0: 2/1]",
        "1. fork: dup_mmap, list the ptes [0: 2/1]",
        "2. fork: copy_one_pte, share read-only [0: 3/2]",
        "3. cpu: store, b'W' -> parent [0: 3/2]",
        "4. io: dma, b'D' -> pfn 0 [1: 2/1 1/1]",
        "State: counts",
        "e exclusive",
        "replay: uemu replay it",
    ]
    assert root(draw_svg([RACE])).findtext(f"{SVG}title") == RACE.title


def test_the_middle_of_an_endless_run_is_left_out() -> None:
    document = draw_svg([race(2, FIRST + LAST + 700, "f", "again", "0: 1/1")])
    drawn = told(document)
    assert len(drawn) == FIRST + 1 + LAST
    assert drawn[FIRST] == ("...", "", "", "700moresteps", "...")
    assert drawn[-1][0] == str(FIRST + LAST + 699)
    assert not boxes(rows(document)[FIRST])
    assert "\n700 more steps\n" in document


def test_signs_of_markup_in_a_label_are_text() -> None:
    run = made_run(["a<b"], ("a<b", "f&g", "x < y", "0: 1/1"), verdicts="<&>")
    document = draw_svg([Race("toy", run, "", ["]]>"], "a & b")], heads=["<b>"])
    assert told(document) == [("0", "a<b", "f&g", "x<y", "0:1/1")]
    assert [words(node) for node in root(document).iter(f"{SVG}title")] == ["<b>"]


def test_both_colour_schemes_are_there_and_nothing_comes_from_elsewhere() -> None:
    document = draw_svg([RACE])
    assert "prefers-color-scheme: dark" in document
    assert document.count("http") == 1  # the name of the format
    assert not re.search(r"<script|<image|<use|href|url\(|@import|@font-face", document)


def test_its_style_reaches_nothing_else_on_a_page_it_is_put_into() -> None:
    style = root(draw_svg([RACE])).findtext(f"{SVG}style") or ""
    selectors = re.findall(r"([^{}\n]+?)\s*\{[^{}]*\}", style)
    assert len(selectors) > 10
    assert all(each.strip().startswith(".uemu") for each in ",".join(selectors).split(","))
