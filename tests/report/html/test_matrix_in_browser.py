"""The matrix as a page, in a browser: the keyboard, the pointer, the filter, both themes, paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.report.html.conftest import Reader, wait_until
from tests.report.html.made_matrix import made_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

HERE = """() => {
    const cell = document.activeElement.closest("tbody td");
    if (!cell) return document.activeElement.id || document.activeElement.tagName;
    const at = [...cell.parentElement.cells].indexOf(cell);
    const policy = cell.parentElement.cells[0].querySelector("b").textContent;
    return `${document.querySelectorAll(".names th")[at - 1].textContent}/${policy}`;
}"""

CONTRAST = """() => {
    const luminance = (colour) => {
        const canvas = new OffscreenCanvas(1, 1).getContext("2d");
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((each) => {
            const part = each / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const fill = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const colour = getComputedStyle(each).backgroundColor;
            if (!/, 0\\)$|transparent/.test(colour)) return colour;
        }
    };
    return [...document.querySelectorAll(WHERE)].filter((each) => each.checkVisibility())
        .map((each) => {
            const [low, high] = [fill(each), getComputedStyle(each).color].map(luminance).sort();
            return [each.textContent.trim() + "." + each.className, (high + 0.05) / (low + 0.05)];
        });
}"""


OPEN = "document.getElementById('detail').open"


def press(page: Page, *keys: str) -> str:
    """Press keys; where the focus is then."""
    for key in keys:
        page.keyboard.press(key)
    return str(page.evaluate(HERE))


def enter(page: Page) -> str:
    """Come into the table as who walks with Tab does."""
    page.locator("a").last.focus()
    return press(page, "Tab")


def is_open(page: Page) -> bool:
    return bool(page.evaluate(OPEN))


def test_arrow_keys_walk_through_the_cells_and_stop_at_the_edges(reader: Reader) -> None:
    page = reader.open(made_page())
    assert enter(page) == "lost-read/oldest"
    assert press(page, "ArrowUp") == press(page, "ArrowLeft") == "lost-read/oldest"
    assert press(page, "ArrowDown") == "lost-read/older"
    assert press(page, "ArrowRight") == "aligned/older"
    assert press(page, "End") == press(page, "ArrowRight") == "swapped/older"
    assert press(page, "PageDown") == press(page, "ArrowDown") == "swapped/newest"
    assert press(page, "Home") == "lost-read/newest"
    assert press(page, "Control+Home") == "lost-read/oldest"
    assert press(page, "Control+End") == "swapped/newest"
    assert press(page, "Control+ArrowUp") == "swapped/oldest"


def test_the_table_is_one_stop_for_tab_and_it_is_where_one_was(reader: Reader) -> None:
    page = reader.open(made_page())
    enter(page)
    assert press(page, "ArrowDown", "ArrowRight") == "aligned/older"
    assert "/" not in press(page, "Tab")
    assert press(page, "Shift+Tab") == "aligned/older"


def test_where_one_is_shows(reader: Reader) -> None:
    page = reader.open(made_page())
    enter(page)
    press(page, "ArrowRight")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    marked = page.locator(".here").all_text_contents()
    assert [" ".join(each.split()) for each in marked] == ["aligned", "2001 oldest"]


def test_who_cannot_see_it_finds_a_grid_with_heads_and_words(reader: Reader) -> None:
    page = reader.open(made_page())
    grid = page.get_by_role("grid", name="Policies by scenarios")
    assert grid.get_by_role("columnheader", name="lost-read", exact=True).count() == 1
    assert grid.get_by_role("rowheader", name="2009 older:fixed").count() == 1
    words = "lost-dma-write, dma-write-seen-by-other"
    cell = grid.get_by_role("gridcell", name=words, exact=True)
    assert cell.get_attribute("aria-haspopup") == "dialog"
    cell.click()
    dialog = page.get_by_role("dialog", name="lost-read under oldest")
    assert dialog.get_by_role("listitem").all_text_contents()[-1] == "fork: shares"


def test_enter_opens_a_cell_and_escape_goes_back_to_it(reader: Reader) -> None:
    page = reader.open(made_page())
    enter(page)
    for key in ("Enter", "Space"):
        press(page, key)
        assert is_open(page)
        assert page.locator("#detail h2").text_content() == "lost-read under oldest"
        assert page.url.endswith("#lost-read/oldest")
        assert press(page, "Escape") == "lost-read/oldest"
        assert not is_open(page)
        wait_until(page, "location.hash === ''")


def test_a_cell_opened_shows_its_story_and_drawing_in_full(reader: Reader) -> None:
    page = reader.open(made_page())
    page.locator("tbody td").first.click()
    shown = page.locator("#detail").inner_text()
    for said in ("read, fork", "locks <pages>", "the <parent> misses it", "share <read-only>",
                 "uemu replay lost-read --policy older uemu1:01", "State: x"):  # fmt: skip
        assert said in shown
    page.get_by_role("button", name="Close").click()
    assert not is_open(page)
    page.locator("tbody td").first.click()
    page.mouse.click(2, 2)
    assert not is_open(page)


def test_what_is_open_is_read_on_with_the_keyboard(reader: Reader) -> None:
    page = reader.open(made_page(), height=240)
    enter(page)
    press(page, "Enter", "End")
    wait_until(page, "document.querySelector('#detail .body').scrollTop > 0")


def test_a_cell_that_was_not_run_does_not_open(reader: Reader) -> None:
    page = reader.open(made_page())
    page.locator("tbody tr").first.locator("td").last.click()
    assert not is_open(page)


def test_a_link_opens_its_cell(reader: Reader) -> None:
    page = reader.open(made_page())
    page.get_by_role("link", name="aligned under newest").click()
    wait_until(page, OPEN)
    assert page.locator("#detail h2").text_content() == "aligned under newest"
    page.reload()
    wait_until(page, OPEN)
    assert page.locator("#detail h2").text_content() == "aligned under newest"


def test_a_link_opens_its_cell_though_the_filter_hides_it(reader: Reader) -> None:
    page = reader.open(made_page())
    page.fill("#policies", "oldest")
    page.get_by_role("link", name="aligned under newest").click()
    wait_until(page, OPEN)
    assert press(page, "Escape") == "aligned/newest"


def visible(page: Page) -> tuple[list[str], list[str]]:
    """The policies and the scenarios that are shown."""
    return (
        page.locator("tbody th:visible b").all_text_contents(),
        page.locator(".names th:visible").all_text_contents(),
    )


def test_the_filter_hides_rows_and_columns(reader: Reader) -> None:
    page = reader.open(made_page())
    everything = visible(page)
    page.fill("#policies", "2009 OLD, new")
    assert visible(page)[0] == ["older", "older:fixed", "newest"]
    page.fill("#policies", "older fixed")
    page.fill("#scenarios", "swap")
    assert visible(page) == (["older:fixed"], ["swapped"])
    heads = page.locator(".families th:visible")
    assert heads.all_text_contents() == ["swap"]
    begins = page.locator("tbody tr:visible")
    assert begins.get_attribute("class") == "year"
    assert page.locator("#counts").text_content() == "1 of 4 policies, 1 of 3 scenarios, 1 cell"
    assert enter(page) == press(page, "ArrowLeft", "ArrowUp") == "swapped/older:fixed"
    page.get_by_role("button", name="show all").click()
    assert visible(page) == everything
    assert page.locator(".families th").first.get_attribute("colspan") == "2"


def test_the_filter_finds_a_verdict_in_any_order_and_fades_the_rest(reader: Reader) -> None:
    page = reader.open(made_page())
    page.select_option("#signs", label="L lost-dma-write")
    assert visible(page) == (["oldest", "older", "older:fixed"], ["lost-read"])
    page.select_option("#signs", label="S dma-write-seen-by-other")
    assert visible(page) == (["oldest"], ["lost-read"])
    page.select_option("#signs", label="≠ real processes did something else than the model")
    assert visible(page) == (["newest"], ["aligned"])
    page.select_option("#signs", label="any violation")
    assert page.locator("tbody td:visible.dim").count() == 0
    page.select_option("#signs", label="- nothing is violated")
    assert visible(page) == (["newest"], ["lost-read", "aligned", "swapped"])
    assert page.locator("tbody td:visible.dim").count() == 0
    page.select_option("#signs", label=". cannot exist under this policy")
    assert visible(page) == (["oldest", "older"], ["aligned"])


def test_heads_stay_and_never_cover_the_cell_one_walks_to(reader: Reader) -> None:
    page = reader.open(made_page(), width=180, height=200)
    enter(page)
    press(page, "Control+End")
    assert page.evaluate("document.querySelector('.scroll').scrollLeft") > 0
    for keys in (["ArrowLeft"], ["ArrowUp"], ["ArrowUp"], ["Control+Home"]):
        press(page, *keys)
        box = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
        head = page.locator("thead").bounding_box()
        side = page.locator("tbody th").first.bounding_box()
        frame = page.locator(".scroll").bounding_box()
        assert head
        assert side
        assert frame
        assert box["left"] >= side["x"] + side["width"] - 1
        assert box["top"] >= frame["y"] + head["height"] - 1
        assert frame["y"] >= 0
        assert side["x"] == pytest.approx(frame["x"], abs=2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("where", [".legend i, .legend dt, .legend dd", "tbody th b, tbody td i"])
def test_signs_and_words_can_be_read_in_both_themes(
    reader: Reader, scheme: str, where: str
) -> None:
    page = reader.open(made_page(), "dark" if scheme == "dark" else "light")
    measured = page.evaluate(CONTRAST.replace("WHERE", f"'{where}'"))
    assert len(measured) > 9
    assert [each for each in measured if each[1] < 4.5] == []


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_but_the_table_is_wider_than_the_window(reader: Reader, width: int) -> None:
    page = reader.open(made_page(), width=width)
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wider) == 0
    page.locator("tbody td").first.click()
    box = page.locator("#detail").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


def test_paper_has_the_whole_table_or_the_open_cell_alone(reader: Reader) -> None:
    page = reader.open(made_page(), width=400, height=300)
    page.emulate_media(media="print")
    assert page.locator(".matrix").is_visible()
    assert page.locator(".legend").is_visible()
    assert not page.locator(".filter").is_visible()
    overflow = "getComputedStyle(document.querySelector('.scroll')).overflow"
    assert page.evaluate(overflow) == "visible"
    page.emulate_media(media="screen")
    page.locator("tbody td").first.click()
    page.emulate_media(media="print")
    assert not page.locator(".matrix").is_visible()
    assert page.locator("#detail .drawing").is_visible()
    top = "document.getElementById('detail').getBoundingClientRect().y + scrollY"
    assert page.evaluate(top) == 0
