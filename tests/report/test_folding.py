"""Which violations are alike, and that each is counted once."""

from __future__ import annotations

from dataclasses import replace

from tests.report.program_runs import LOST, SEEN
from uemu.events import Frame
from uemu.oracle.violations import StoryLine, Violation
from uemu.report.folding import fold, fold_text
from uemu.report.run_report import violation_lines


def at(violation: Violation, address: int, *lines: int) -> Violation:
    """The same elsewhere: its frames, its process, the lines of the program it came from."""
    story = tuple(
        replace(line, text=f"{line.text} {address}", address=address, pfn=address,
                stack=(Frame(address + number, "/bin/x", "read", "x.c", number),))
        for line, number in zip(violation.story, lines or (1, 2, 3), strict=False)
    )  # fmt: skip
    return replace(violation, address=address, story=story)


def test_the_same_from_the_same_places_is_told_once_and_counted() -> None:
    folds = fold([at(LOST, 0x1000), at(LOST, 0x2000), at(LOST, 0x3000)])
    (only,) = folds
    assert only.count == 3
    assert only.shown == [at(LOST, 0x1000)]
    assert fold_text(only) == "and 2 more like it, at 0x2000, 0x3000"
    lines = violation_lines([at(LOST, 0x1000), at(LOST, 0x2000)])
    assert sum(line.startswith("uemu: lost-dma-write: ") for line in lines) == 1
    assert "uemu:   and 1 more like it, at 0x2000" in lines


def test_another_place_is_another_violation() -> None:
    folds = fold([at(LOST, 0x1000, 1, 2, 3), at(LOST, 0x2000, 1, 2, 4)])
    assert [each.count for each in folds] == [1, 1]


def test_another_kind_is_another_violation_and_so_are_both_together() -> None:
    lost, seen = at(LOST, 0x1000), at(SEEN, 0x1000)
    folds = fold([lost, seen, at(LOST, 0x2000), at(SEEN, 0x3000)])
    assert [[violation.kind for violation in each.shown] for each in folds] == [
        ["lost-dma-write", "dma-write-seen-by-other"],
        ["lost-dma-write"],
        ["dma-write-seen-by-other"],
    ]


def test_how_often_a_child_was_forked_meanwhile_does_not_matter() -> None:
    twice = at(LOST, 0x2000)
    twice = replace(twice, story=(twice.story[0], twice.story[1], *twice.story[1:]))
    assert [each.count for each in fold([at(LOST, 0x1000), twice])] == [2]


def test_without_stacks_the_events_decide() -> None:
    other = StoryLine("stored", 0, "t1", 0x1E00, "process 4711 stores into pfn 0")
    like = replace(
        LOST, address=0x9000, story=tuple(replace(each, text="x") for each in LOST.story)
    )
    assert [each.count for each in fold([LOST, like])] == [2]
    more = replace(like, story=(*like.story, other))
    assert [each.count for each in fold([LOST, more])] == [1, 1]


def test_many_are_not_all_listed() -> None:
    (only,) = fold([at(LOST, 0x1000 * number) for number in range(1, 9)])
    assert fold_text(only).endswith("0x5000 ...")
