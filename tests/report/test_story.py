"""What a violation reads like."""

from __future__ import annotations

from uemu.oracle.violations import KINDS, StoryLine, Violation
from uemu.report.story import (
    FIRST,
    LAST,
    MOST,
    WIDTH,
    in_order,
    story_lines,
    told_together,
    verdict_lines,
    verdict_text,
)

STORY = (
    StoryLine("got", 0, "io", 0x1E00, "parent: o_direct gets pfn 0"),
    StoryLine("forked", 0, "parent", None, "parent: fork makes child"),
    StoryLine("device-wrote", None, "device", None, "the device: writes 512 bytes into pfn 0"),
)
LOST = Violation("lost-dma-write", 0, 0x1E00, 512, 0, "parent does not see it", STORY)
SEEN = Violation("dma-write-seen-by-other", 1, 0x1E00, 512, 0, "child sees it", STORY[:2])


def test_tells_the_kind_the_message_and_the_story_in_order() -> None:
    assert story_lines(LOST) == [
        "lost-dma-write: parent does not see it, 512 bytes at 0x1e00",
        "  1. parent: o_direct gets pfn 0 [io]",
        "  2. parent: fork makes child",
        "  3. the device: writes 512 bytes into pfn 0",
    ]


def test_numbers_are_aligned_and_long_lines_folded() -> None:
    line = StoryLine("stored", 0, "cpu", 0, "parent: " + "stores " * 20)
    lines = story_lines(Violation("lost-store", 0, 0x1000, 1, None, "m " * 99, (line,) * 10))
    assert max(map(len, lines)) <= WIDTH
    assert [each for each in lines if each.startswith("   1. parent")]
    assert [each for each in lines if each.startswith("  10. parent")]
    assert ", 1 byte at 0x1000" in " ".join(lines)


def test_of_a_long_story_the_middle_is_left_out_and_the_numbers_say_so() -> None:
    def told_events(number: int) -> list[str]:
        story = tuple(StoryLine("stored", 0, "cpu", 0, f"parent: {n}") for n in range(number))
        (told,) = told_together([Violation("lost-dma-write", 0, 0, 0, 0, "x", story)])
        return told[1]

    assert len(told_events(MOST)) == MOST
    lines = told_events(140)
    assert lines[FIRST - 1 : FIRST + 2] == [
        "   14. parent: 13 [cpu]",
        "  ...  116 events left out",
        "  131. parent: 130 [cpu]",
    ]
    assert (len(lines), lines[-1]) == (FIRST + 1 + LAST, "  140. parent: 139 [cpu]")


def test_a_narrower_report_folds_sooner() -> None:
    (heads, story), = told_together([LOST], width=40)  # fmt: skip
    assert max(map(len, heads + story)) <= 40
    assert " ".join(heads).split() == story_lines(LOST)[0].split()


def test_a_violation_of_no_address_names_none() -> None:
    assert story_lines(Violation("deadlock", 0, 0, 0, None, "waits for ever", ())) == [
        "deadlock: waits for ever"
    ]


def test_violations_of_one_story_tell_it_once_and_to_its_end() -> None:
    (heads, story), = told_together([SEEN, LOST])  # fmt: skip
    assert [head.split(":")[0] for head in heads] == ["lost-dma-write", "dma-write-seen-by-other"]
    assert len(story) == 3


def test_violations_of_different_stories_are_told_apart() -> None:
    other = Violation("foreign-dma-read", 0, 0x1000, 1, 0, "bytes of child", STORY[1:])
    silent = Violation("deadlock", 0, 0, 0, None, "waits for ever", ())
    told = told_together([silent, other, LOST])
    assert [heads[0].split(":")[0] for heads, _ in told] == [
        "lost-dma-write",
        "foreign-dma-read",
        "deadlock",
    ]


def test_a_verdict_without_message_says_what_it_means() -> None:
    assert verdict_lines("livelock") == ["livelock: an operation retries for ever"]
    assert verdict_lines("livelock", "gup retried") == ["livelock: gup retried"]
    assert verdict_lines("nondeterminism") == ["nondeterminism: unknown"]
    for kind in KINDS:
        assert max(map(len, verdict_lines(kind))) <= WIDTH


def test_verdicts_in_a_line() -> None:
    assert in_order({"zzz", "deadlock", "lost-dma-write"}) == ["lost-dma-write", "deadlock", "zzz"]
    assert verdict_text({"deadlock", "lost-dma-write"}) == "lost-dma-write, deadlock"
    assert verdict_text(()) == "no violation"
