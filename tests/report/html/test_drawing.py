"""A run as a table: every step in the column of its CPU, joined by lines."""

from __future__ import annotations

from tests.report.html.page_reader import read, told
from tests.report.runs import made_run
from uemu.report.drawing import FIRST as SHOWN_FIRST
from uemu.report.drawing import LAST as SHOWN_LAST
from uemu.report.html.drawing import FIRST, LAST, LINE, NOTHING, ONLY, STEP, drawing_table, rows

RUN = made_run(
    ["io", "fork", "cpu"],
    ("io", "follow_page", "hold page", "0: 2/1"),
    ("fork", "dup_mmap", "<list> the ptes", "0: 2/1"),
    ("io", "get_page", "", "0: 3/1"),
    ("fork", "copy_one_pte", "share read-only", "0: 3/2"),
    ("io", "dma", "b'D' -> pfn 0", "1: 2/1 1/1"),
    ("cpu", "store", "b'W' -> parent", "0: 3/2"),
)


def test_it_tells_what_the_run_did() -> None:
    assert told(read(drawing_table(RUN.records))) == [
        ("0", "io", "follow_page", "holdpage", "0:2/1"),
        ("1", "fork", "dup_mmap", "<list>theptes", "0:2/1"),
        ("2", "io", "get_page", "", "0:3/1"),
        ("3", "fork", "copy_one_pte", "shareread-only", "0:3/2"),
        ("4", "io", "dma", "b'D'->pfn0", "1:2/11/1"),
        ("5", "cpu", "store", "b'W'->parent", "0:3/2"),
    ]


def test_a_line_goes_from_the_first_step_of_a_cpu_to_its_last() -> None:
    assert [row.cells for row in rows(RUN.records)] == [
        [FIRST, NOTHING, NOTHING],
        [LINE, FIRST, NOTHING],
        [STEP, LINE, NOTHING],
        [LINE, LAST, NOTHING],
        [LAST, NOTHING, NOTHING],
        [NOTHING, NOTHING, ONLY],
    ]


def test_the_middle_of_a_very_long_run_is_left_out_and_counted() -> None:
    steps = [("io" if at % 3 else "cpu", "f", "", "") for at in range(1000)]
    shown = rows(made_run(["io", "cpu"], *steps).records)
    assert len(shown) == SHOWN_FIRST + 1 + SHOWN_LAST
    (out,) = (row for row in shown if row.step is None)
    assert (out.missing, out.cells) == (1000 - SHOWN_FIRST - SHOWN_LAST, [LINE, LINE])
    assert "<td>700 more steps</td>" in drawing_table(made_run(["io", "cpu"], *steps).records)


def test_who_takes_steps_only_in_the_middle_has_an_empty_column() -> None:
    steps = [("cpu" if at == 500 else "io", "f", "", "") for at in range(1000)]
    shown = rows(made_run(["io", "cpu"], *steps).records)
    assert {row.cells[1] for row in shown} == {NOTHING}
