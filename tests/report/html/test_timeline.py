"""The page of a run: all of it is there, and what comes in is text."""

from __future__ import annotations

import re

from tests.report.made_timeline import made_timeline, made_violations
from tests.report.program_runs import made_result
from uemu.live.program.result import RunResult
from uemu.report.html.timeline import timeline_page


def made_page(result: RunResult | None = None) -> str:
    return timeline_page(
        made_timeline(),
        result or made_violations(),
        program="./reader '<b>'",
        policy="linux-2.6.29",
        replay="uemu run --policy linux-2.6.29 -- ./reader '<b>'",
    )


def test_violations_have_their_story_their_stacks_and_their_remedies() -> None:
    page = made_page()
    for text in (
        "lost-dma-write: process 4711 does not see it, 512 bytes at 0x1e00",
        "process 4711: o_direct gets pfn 0 [t1]",
        "at read_once (reader.c:55)",
        "512 bytes at 0x10000. On its pages lie 3584 bytes after it",
        "madvise(0x10000, 4096, MADV_DONTFORK)",
        'href="#row-7"',
    ):
        assert text in page, text


def test_each_row_is_there_with_its_drawing_in_words() -> None:
    page = made_page()
    assert re.findall(r'<tr id="row-(\d+)"', page) == [str(number) for number in range(1, 10)]
    assert page.count("<svg") == 9
    assert 'aria-label="2 processes; in flight: io 1"' in page
    assert page.count('class="violated"') == 2


def test_what_comes_in_is_text() -> None:
    page = made_page()
    assert "<b>[4711]" not in page
    assert "reader&lt;b&gt;[4711]" in page
    assert "a &lt;note&gt;" in page
    assert "http:" not in page.replace("http://www.w3.org", "")
    assert "https:" not in page


def test_a_clean_run_says_so_and_what_it_covered() -> None:
    page = made_page(made_result(over_fork=0))
    assert "✓ no violation" in page
    assert "nothing was tested: no fork met a transfer." in page
    assert "What was violated" not in page


def test_a_run_without_any_decision_has_a_page() -> None:
    page = timeline_page(
        made_timeline([]), made_result(), program="true", policy="linux-6.5", replay="uemu run"
    )
    assert "<tbody>" in page
