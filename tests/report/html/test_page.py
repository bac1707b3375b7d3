"""The frame of pages: it stands alone, escapes what it is given, has a light and a dark theme."""

from __future__ import annotations

import pytest
from jinja2 import ChoiceLoader, DictLoader, UndefinedError

from tests.report.html.conftest import Reader
from uemu.report.html import page

TEMPLATE = """
{%- extends "frame.html" %}
{% block title %}About {{ name }}{% endblock %}
{% block main %}<p id="told">{{ told }}</p>{% endblock %}
"""


@pytest.fixture(autouse=True)
def _template(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = page._environment()
    made = DictLoader({"made.html": TEMPLATE})
    assert environment.loader is not None
    monkeypatch.setattr(environment, "loader", ChoiceLoader([made, environment.loader]))


@pytest.mark.slow
def test_what_a_page_is_told_is_text(reader: Reader) -> None:
    told = "</p><script>document.title = 'run'</script><b onclick='x'>&amp;"
    shown = reader.open(page.render_page("made.html", name="<i>", told=told))
    assert shown.text_content("#told") == told
    assert shown.text_content("h1") == shown.title() == "About <i>"


def test_a_name_that_is_missing_is_no_empty_place() -> None:
    with pytest.raises(UndefinedError, match="'told' is undefined"):
        page.render_page("made.html", name="x")


@pytest.mark.slow
def test_a_script_that_the_page_was_not_written_with_does_not_run(reader: Reader) -> None:
    document = page.render_page("made.html", name="x", told="")
    added = "<script>document.title = 'run'</script><img src='https://example.org/x.png'>"
    shown = reader.open(document.replace("</body>", f"{added}</body>"))
    assert shown.title() == "About x"
    assert [said.partition(" violates")[0] for said in reader.said] == [
        "Executing inline script",
        "Loading the image 'https://example.org/x.png'",
    ]
    # It was on its way, and was stopped.
    reader.said.clear()
    reader.asked.clear()


@pytest.mark.slow
def test_the_theme_is_the_systems_until_the_switch_says_otherwise(reader: Reader) -> None:
    document = page.render_page("made.html", name="x", told="y")
    colour = "getComputedStyle(document.documentElement).backgroundColor"
    light, dark = reader.open(document), reader.open(document, "dark")
    white, black = light.evaluate(colour), dark.evaluate(colour)
    assert white == "rgb(255, 255, 255)" != black
    switch = dark.get_by_role("button")
    for name, expected in (("light", white), ("dark", black), ("system", black)):
        switch.click()
        assert switch.text_content() == f"theme: {name}"
        assert dark.evaluate(colour) == expected
    switch.click()
    dark.reload()
    assert switch.text_content() == "theme: light"


@pytest.mark.slow
def test_paper_is_white(reader: Reader) -> None:
    shown = reader.open(page.render_page("made.html", name="x", told="y"), "dark")
    shown.emulate_media(media="print", color_scheme="dark")
    colour = shown.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert colour == "rgb(255, 255, 255)"
    assert not shown.get_by_role("button").is_visible()
