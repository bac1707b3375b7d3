"""What is printed about one run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from uemu.cli.names import WorldMaker
from uemu.cli.show import HUGE_LEGEND, show_run
from uemu.explore import Run, explore, replay
from uemu.scenario.registry import SCENARIOS


def shown(maker: WorldMaker, run: Run, width: int = 100) -> list[str]:
    file = io.StringIO()
    show_run(Console(file=file, width=width, highlight=False, markup=False), maker, run)
    return file.getvalue().splitlines()


def test_what_ended_a_run_is_told_with_its_message() -> None:
    maker = WorldMaker(SCENARIOS["dontfork"], "linux-6.5")
    run = replay(maker, ())
    ended = Run(run.schedule, run.records, frozenset({"livelock"}), "gup retried for ever")
    lines = shown(maker, ended)
    assert lines[0] == "livelock: gup retried for ever"
    assert lines[-2:] == [
        "livelock under linux-6.5 in dontfork",
        f"replay:  uemu replay dontfork --policy linux-6.5 {run.schedule}",
    ]


def test_a_violation_is_told_before_the_drawing() -> None:
    maker = WorldMaker(SCENARIOS["child-corrupted"], "linux-2.6.29")
    (race,) = explore(maker, stop_at_first=True).verdicts.values()
    lines = shown(maker, race)
    heads = [line.split()[0] for line in lines if line and not line.startswith(" ")]
    assert heads == ["dma-write-seen-by-other:", "Race:", "State:", "dma-write-seen-by-other",
                     "replay:"]  # fmt: skip


def test_on_a_narrow_terminal_the_drawing_is_narrow() -> None:
    maker = WorldMaker(SCENARIOS["lost-read"], "linux-2.6.29")
    table = [line for line in shown(maker, replay(maker, ()), 72) if line.startswith("    ")]
    assert 60 < max(map(len, table)) <= 72


@pytest.mark.parametrize(("name", "huge"), [("lost-read", False), ("hugetlb-lost-read", True)])
def test_a_sign_for_huge_pages_is_explained_where_it_is_seen(name: str, huge: bool) -> None:
    maker = WorldMaker(SCENARIOS[name], "linux-2.6.29")
    assert (HUGE_LEGEND in shown(maker, replay(maker, ()), 120)) is huge
