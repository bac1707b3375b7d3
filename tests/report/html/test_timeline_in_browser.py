"""The page of a run in a browser: the keyboard, the filter, links, both themes, a narrow screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from tests.report.html.conftest import Reader, wait_until
from tests.report.html.test_timeline import made_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow


def press(page: Page, *keys: str) -> str:
    """Press keys; which row has the focus then."""
    for key in keys:
        page.keyboard.press(key)
    return str(page.evaluate("document.activeElement.id"))


def shown(page: Page) -> list[str]:
    """The numbers of the rows that are to be seen."""
    return page.locator(".timeline tbody tr:not([hidden]) td:first-child").all_text_contents()


def test_tab_comes_to_the_rows_and_keys_walk_through_them(reader: Reader) -> None:
    page = reader.open(made_page())
    page.locator("#all").focus()
    assert press(page, "Tab") == "row-1"
    assert press(page, "ArrowDown", "ArrowDown") == "row-3"
    assert press(page, "ArrowUp") == "row-2"
    assert press(page, "n") == "row-5"
    assert press(page, "n") == "row-7"
    assert press(page, "n") == "row-7", "there is none behind it"
    assert press(page, "p") == "row-5"
    assert press(page, "End", "ArrowDown") == "row-9"
    assert press(page, "Home", "ArrowUp") == "row-1"
    press(page, "ArrowDown", "Shift+Tab")
    assert press(page, "Tab") == "row-2", "it is where one was"


def test_who_comes_from_elsewhere_goes_on_from_there_and_the_heads_hide_no_row(
    reader: Reader,
) -> None:
    page = reader.open(made_page(), height=300)
    page.locator("#row-8").focus()
    for key in ("ArrowUp",) * 6:
        press(page, key)
    assert page.evaluate("document.activeElement.id") == "row-2"
    head = "document.querySelector('.timeline th').getBoundingClientRect().bottom"
    assert page.evaluate(f"document.activeElement.getBoundingClientRect().top >= {head} - 1")


def test_the_filter_leaves_rows_out_and_shows_all_again(reader: Reader) -> None:
    page = reader.open(made_page())
    page.locator("#what").select_option("violation")
    assert shown(page) == ["5", "7"]
    assert page.locator("#counts").text_content() == "2 of 9 rows"
    page.locator("#all").click()
    assert len(shown(page)) == 9
    page.locator("#who").select_option("B")
    assert shown(page) == ["8"]
    page.locator("#all").click()
    page.locator("#words").fill("pfn 1")
    assert shown(page) == ["4", "6", "7"]


def test_a_violation_leads_to_its_row_even_if_that_is_hidden(reader: Reader) -> None:
    page = reader.open(made_page())
    page.locator("#what").select_option("fork")
    page.locator(".violation a.to-row").first.click()
    wait_until(page, "document.activeElement.id === 'row-7'")
    assert page.url.endswith("#row-7")
    assert len(shown(page)) == 9


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_can_be_read(reader: Reader, scheme: Literal["light", "dark"]) -> None:
    page = reader.open(made_page(), scheme)
    colours = page.evaluate(
        """() => ["body", ".violated", ".advice dd", ".stack li"].map((where) => {
            const style = getComputedStyle(document.querySelector(where));
            return style.color.match(/[0-9]+/g).slice(0, 3).map(Number)
                .reduce((a, b) => a + b) / 3;
        })"""
    )
    assert all(each < 140 for each in colours) if scheme == "light" else min(colours) > 115


def test_a_narrow_screen_scrolls_the_table_and_not_the_page(reader: Reader) -> None:
    page = reader.open(made_page(), width=400)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
