"""Drawings of hand-made runs, compared as a reader sees them."""

from __future__ import annotations

import string

import pytest

from tests.report.runs import MadeRun, made_run
from uemu.report.drawing import FIRST, LAST, NARROWEST, WIDTH, draw, draw_steps

LOST_READ = made_run(
    ["io", "fork", "cpu"],
    ("io", "follow_page", "hold page", "0: 2/1"),
    ("fork", "dup_mmap", "list the ptes", "0: 2/1"),
    ("fork", "copy_one_pte", "share read-only", "0: 3/2"),
    ("cpu", "store", "b'W' -> parent", "0: 3/2"),
    ("cpu", "do_wp_page", "mapcount == 1 ?", "1: 2/1 1/1"),
    ("io", "dma", "b'D' -> pfn 0", "1: 2/1 1/1"),
    verdicts="lost-dma-write",
)

DRAWN = """\
Race: lost-read uemu1:011220 -> lost-dma-write

    #  io           fork          cpu         note             state
    -  -----------  ------------  ----------  ---------------  ----------
    0  follow_page                            hold page        0: 2/1
    1               dup_mmap                  list the ptes    0: 2/1
    2               copy_one_pte              share read-only  0: 3/2
    3                             store       b'W' -> parent   0: 3/2
    4                             do_wp_page  mapcount == 1 ?  1: 2/1 1/1
    5  dma                                    b'D' -> pfn 0    1: 2/1 1/1
"""


def test_draws_a_column_per_task_a_note_and_the_state() -> None:
    assert draw("lost-read", LOST_READ) == DRAWN


def test_the_variant_stands_at_the_end_of_the_title() -> None:
    title = draw("lost-read", LOST_READ, remark="norecheck").splitlines()[0]
    assert title == "Race: lost-read uemu1:011220 -> lost-dma-write (norecheck)"


def test_a_run_without_violation_says_so() -> None:
    run = made_run(["io"], ("io", "dma", "", ""))
    assert draw("dontfork", run).startswith("Race: dontfork uemu1:0 -> no violation\n")


def test_verdicts_stand_in_the_order_of_reports() -> None:
    run = MadeRun("uemu1:", [], ["not-exclusive", "zzz", "dma-write-seen-by-other", "aaa",
                                 "lost-dma-write"])  # fmt: skip
    assert draw("x", run).splitlines()[0] == (
        "Race: x uemu1: -> lost-dma-write, dma-write-seen-by-other, not-exclusive, aaa, zzz"
    )


def test_a_task_that_took_no_step_has_no_column() -> None:
    run = made_run(["io", "fork", "cpu"], ("io", "dma", "", ""), ("cpu", "store", "", ""))
    assert draw_steps(run.records)[0] == "    #  io   cpu    note  state"


def test_a_run_of_no_step_is_drawn_too() -> None:
    assert draw_steps([]) == ["    #  note  state", "    -  ----  -----"]


def wide_run(nr_tasks: int, nr_steps: int, function: str, note: str, state: str) -> MadeRun:
    tasks = [f"task{letter}" for letter in (string.ascii_lowercase * 2)[:nr_tasks]]
    steps = [(tasks[at % nr_tasks], function, note, state) for at in range(nr_steps)]
    return made_run(tasks, *steps, verdicts="lost-dma-write dma-write-seen-by-other")


@pytest.mark.parametrize("nr_tasks", [1, 2, 3, 4, 5, 6, 7, 8, 12, 36])
@pytest.mark.parametrize(
    ("function", "note", "state"),
    [
        ("get_page", "hold pfn 0", "0: 2/1"),
        ("page_try_dup_anon_rmap", "exclusive and pinned ?", "1: 2/1e 1/1"),
        ("page_try_dup_anon_rmap", "mmap_sem for writing " * 9, "0: 1/1 " * 20),
        ("f" * 120, "n" * 300, "s" * 120),
    ],
)
def test_no_line_is_wider_than_allowed_and_no_function_is_lost(
    nr_tasks: int, function: str, note: str, state: str
) -> None:
    run = wide_run(nr_tasks, 40, function, note, state)
    drawing = draw("two-readers-one-page", run)
    assert max(map(len, drawing.splitlines())) <= WIDTH < 100
    letters = "".join(drawing.split())
    assert letters.count("f") >= function.count("f") * 40
    if function.isidentifier() and len(function) < 20:
        assert drawing.count(function) == 40


@pytest.mark.parametrize(("width", "widest"), [(80, 80), (60, 60), (10, NARROWEST)])
def test_a_narrow_terminal_gets_a_narrow_drawing(width: int, widest: int) -> None:
    run = wide_run(4, 40, "page_try_dup_anon_rmap", "exclusive and pinned ?", "1: 2/1e 1/1")
    assert max(map(len, draw_steps(run.records, width))) <= widest


def test_folding_keeps_the_pieces_of_a_function_in_its_column() -> None:
    run = wide_run(4, 8, "page_try_dup_anon_rmap", "exclusive and pinned ?", "1: 2/1e 1/1")
    first, second, third = draw_steps(run.records)[2:5]
    assert first.split()[:2] == ["0", "page_try_dup_"]
    assert second.split()[0] == "anon_rmap"
    assert first.index("page_try_dup_") == second.index("anon_rmap")
    assert third.split()[0] == "1"


def test_too_many_tasks_share_a_column() -> None:
    heads = draw_steps(wide_run(12, 12, "get_page", "hold pfn 0", "0: 2/1").records)[0]
    assert heads.split() == ["#", "task", "function", "note", "state"]


def test_a_long_title_goes_on_in_the_next_line() -> None:
    run = wide_run(2, 40, "f", "", "")
    lines = draw("gup-fast-vs-fork", run, remark="norecheck").splitlines()
    assert lines[:2] == [
        "Race: gup-fast-vs-fork uemu1:" + "01" * 20,
        "    -> lost-dma-write, dma-write-seen-by-other (norecheck)",
    ]


def test_the_middle_of_an_endless_run_is_left_out() -> None:
    lines = draw_steps(wide_run(2, FIRST + LAST + 700, "f", "again", "").records)
    assert len(lines) == 2 + FIRST + 1 + LAST
    assert lines[2 + FIRST].split() == ["...", "700", "more", "steps", "..."]
    assert lines[-1].split()[0] == str(FIRST + LAST + 699)


def test_a_drawing_has_no_control_codes_and_ends_no_line_in_a_space() -> None:
    drawing = draw("lost-read", LOST_READ)
    assert "\x1b" not in drawing
    assert not [line for line in drawing.splitlines() if line != line.rstrip()]
