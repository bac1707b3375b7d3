"""The matrix as a page, read without a browser: rows, columns, signs, what is behind a cell."""

from __future__ import annotations

import pytest

from tests.report.html.made_matrix import FAMILIES, POLICIES, made_page
from tests.report.html.page_reader import Element, ReadCell, matrix, read, told
from uemu.report.matrix_table import LETTERS


@pytest.fixture(scope="module")
def root() -> Element:
    return read(made_page())


@pytest.fixture(scope="module")
def cells(root: Element) -> dict[tuple[str, str], ReadCell]:
    return matrix(root)


def words(cell: ReadCell) -> str:
    assert cell.body is not None
    return " ".join(cell.body.text.split())


def test_policies_go_down_by_year_and_scenarios_across_by_family(
    root: Element, cells: dict[tuple[str, str], ReadCell]
) -> None:
    assert list(dict.fromkeys(policy for policy, _ in cells)) == [
        "oldest", "older", "older:fixed", "newest",
    ]  # fmt: skip
    assert list(dict.fromkeys(scenario for _, scenario in cells)) == [
        "lost-read", "aligned", "swapped",
    ]  # fmt: skip
    families = root.one("tr", class_="families")
    assert [(each.text.strip(), each.attributes["colspan"]) for each in families.all("th")] == [
        ("writes", "2"),
        ("swap", "1"),
    ]
    begins = [
        each.attributes.get("class")
        for each in root.one("table", class_="matrix").one("tbody").all("tr")
    ]
    assert begins[:4] == ["year", "year", None, "year"]


def test_a_cell_has_a_sign_and_words_for_what_it_is(
    cells: dict[tuple[str, str], ReadCell],
) -> None:
    assert [(*name, cell.signs, cell.words) for name, cell in cells.items()] == [
        ("oldest", "lost-read", "LS", "lost-dma-write, dma-write-seen-by-other"),
        ("oldest", "aligned", ".", "cannot exist"),
        ("oldest", "swapped", "?", "was not run"),
        ("older", "lost-read", "L!", "lost-dma-write; not what is expected"),
        ("older", "aligned", ".", "cannot exist"),
        ("older", "swapped", "?", "was not run"),
        ("older:fixed", "lost-read", "l~",
         "no violation; in other orders lost-dma-write; not every order was run"),
        ("older:fixed", "aligned", "?", "was not run"),
        ("older:fixed", "swapped", "?", "was not run"),
        ("newest", "lost-read", "-", "no violation"),
        ("newest", "aligned", "-≠",
         "no violation; real processes did something else than the model"),
        ("newest", "swapped", "-", "no violation"),
    ]  # fmt: skip
    assert len(cells) == len(POLICIES) * sum(len(each.scenarios) for each in FAMILIES)


def test_behind_a_cell_are_its_story_its_drawing_and_the_way_back(
    cells: dict[tuple[str, str], ReadCell],
) -> None:
    cell = cells["oldest", "lost-read"]
    assert cell.body is not None
    assert [each.text for each in cell.body.one("ol").all("li")] == [
        "io: gets pfn 0",
        "fork: shares",
    ]
    assert cell.drawing is not None
    assert [step[2:4] for step in told(cell.drawing)] == [
        ("get_page", "holdpfn0"),
        ("copy_one_pte", "share<read-only>"),
    ]
    for said in (
        "lost-dma-write: the <parent> misses it",
        "uemu replay lost-read --policy older uemu1:01",
        "Expected lost-dma-write, dma-write-seen-by-other: a mail of 2009",
        "Orders run the canonical one",
        "Costs COW copies 1",
        "By the page nothing",
    ):
        assert said in words(cell)


def test_what_is_not_as_it_should_be_says_so_in_the_cell_and_above_the_table(
    root: Element, cells: dict[tuple[str, str], ReadCell]
) -> None:
    differs, disagrees = cells["older", "lost-read"], cells["newest", "aligned"]
    assert "Not what is expected: lost-dma-write, not both" in words(differs)
    assert "Real processes did something else: violations: [] simulated" in words(disagrees)
    assert "Real processes the same: no violation" in words(cells["newest", "lost-read"])
    section = root.one("section", class_="wrong")
    assert [(" ".join(each.text.split()), each.one("a").attributes["href"])
            for each in section.all("li")] == [
        ("lost-read under older: lost-dma-write, not both", "#lost-read/older"),
        ("aligned under newest: real processes did something else: violations: [] simulated",
         "#aligned/newest"),
    ]  # fmt: skip


def test_what_cannot_exist_says_why_and_what_was_not_run_opens_nothing(
    cells: dict[tuple[str, str], ReadCell],
) -> None:
    assert "Cannot exist: it has no direct I/O." in words(cells["oldest", "aligned"])
    assert cells["oldest", "swapped"].body is None


def test_what_cells_have_in_common_is_in_the_page_once(
    cells: dict[tuple[str, str], ReadCell],
) -> None:
    drawn = [cells[policy, "lost-read"].drawing for policy in ("oldest", "older")]
    assert drawn[0] is drawn[1] is not None
    assert cells["oldest", "aligned"].body is cells["older", "aligned"].body
    assert cells["newest", "lost-read"].body is cells["newest", "swapped"].body
    assert cells["oldest", "lost-read"].body is not cells["older", "lost-read"].body


def test_the_legend_has_the_signs_in_use_and_no_other(root: Element) -> None:
    legend = root.one("section", class_="legend")
    assert [each.text.split() for each in legend.all("dt")] == [
        ["L", "lost-dma-write"], ["S", "dma-write-seen-by-other"],
        ["-"], ["."], ["?"], ["!"], ["~"], ["≠"], ["l"],
    ]  # fmt: skip


def test_every_kind_has_a_colour(root: Element) -> None:
    style = root.one("style").text
    assert [letter for letter in LETTERS.values() if f".{letter} {{ --kind: #" not in style] == []
