"""A run with its title."""

from __future__ import annotations

from tests.report.runs import made_run
from uemu.report.drawing import draw
from uemu.report.race import Race


def test_its_title_is_that_of_the_drawing() -> None:
    run = made_run(["io", "cpu"], ("io", "dma", "", ""), ("cpu", "store", "", ""))
    race = Race("dontfork", run, "norecheck")
    assert race.title == "Race: dontfork uemu1:01 -> no violation (norecheck)"
    assert draw("dontfork", run, remark="norecheck").startswith(f"{race.title}\n")


def test_its_title_is_in_one_line_however_long() -> None:
    run = made_run(["io"], *[("io", "dma", "", "")] * 200, verdicts="lost-dma-write")
    assert Race("x", run).title == f"Race: x uemu1:{'0' * 200} -> lost-dma-write"
    assert "0" * 200 not in draw("x", run)
