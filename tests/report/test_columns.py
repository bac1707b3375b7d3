"""Folding text and fitting columns."""

from __future__ import annotations

import pytest

from uemu.report.columns import Column, fit, fold, lay_out


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 5, [""]),
        ("short", 5, ["short"]),
        ("two words", 9, ["two words"]),
        ("two words", 8, ["two", "words"]),
        ("two words", 5, ["two", "words"]),
        ("get_user_pages", 9, ["get_user_", "pages"]),
        ("get_user_pages", 8, ["get_", "user_", "pages"]),
        ("unbreakable", 4, ["unbr", "eaka", "ble"]),
        ("a unbreakable", 4, ["a", "unbr", "eaka", "ble"]),
        ("twelve chars", 3, ["twe", "lve", "cha", "rs"]),
        ("_leading", 4, ["_", "lead", "ing"]),
        ("b'P' -> parent", 11, ["b'P' ->", "parent"]),
    ],
)
def test_folds(text: str, width: int, lines: list[str]) -> None:
    assert fold(text, width) == lines


@pytest.mark.parametrize("width", range(1, 30))
def test_folding_loses_nothing_and_is_never_too_wide(width: int) -> None:
    text = "take mmap_sem for writing of_a_very_long_function_name()"
    lines = fold(text, width)
    assert max(map(len, lines)) <= width
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_a_cut_is_marked_with_an_ellipsis() -> None:
    assert fold("one two three four five", 9, lines=2) == ["one two", "three..."]
    assert fold("one two three four five", 2, lines=1) == [".."]


def test_columns_that_fit_have_their_natural_width() -> None:
    columns = [Column("a"), Column("note", 2)]
    assert fit(columns, [["x", "some words"]], 13) == [1, 10]


def test_the_column_gives_way_that_costs_the_fewest_lines() -> None:
    columns = [Column("fn", 4), Column("note", 4)]
    rows = [["get_page", "one two"], ["x", "two six"], ["x", "ten six"]]
    assert fit(columns, rows, 17) == [8, 7]
    assert fit(columns, rows, 16) == [4, 7]


def test_the_lighter_column_gives_way_where_lines_are_equal() -> None:
    rows = [["one two", "one two"]]
    assert fit([Column("a", 3, 1), Column("b", 3, 2)], rows, 15) == [3, 7]
    assert fit([Column("a", 3, 2), Column("b", 3, 1)], rows, 15) == [7, 3]


def test_folding_goes_before_cutting() -> None:
    rows = [["one two six", "one two six"]]
    columns = [Column("a", 3, 1, lines=1), Column("b", 3, 5)]
    assert fit(columns, rows, 16) == [11, 3]


def test_what_cannot_fit_is_refused() -> None:
    assert fit([Column("a"), Column("b", 3)], [["xxxxx", "one two"]], 9) is None
    assert fit([Column("a"), Column("b", 3)], [["xxxxx", "one two"]], 10) == [5, 3]


def test_rows_are_laid_out_under_their_heads() -> None:
    columns = [Column("#"), Column("note", 4, lines=2)]
    rows = [["0", "one two three"], ["1", ""], ["2", "x"]]
    assert lay_out(columns, rows, [1, 5]) == [
        "#  note",
        "-  -----",
        "0  one",
        "   tw...",
        "1",
        "2  x",
    ]
