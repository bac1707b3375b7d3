"""What stands below a story: the buffer, its neighbours, and what to do."""

from __future__ import annotations

from dataclasses import replace

from tests.report.program_runs import LOST, SEEN
from uemu.events import Frame
from uemu.oracle.held import HeldBuffer
from uemu.report.advice_lines import advice_json, advice_lines, buffer_text, fits_of

HALF = HeldBuffer(
    0x1200, 0x1A00, "o_direct", False, False, ((0x1000, 0x1200),), "heap", "in the heap"
)
FORK = Frame(1, "/usr/lib/libc.so.6", "__fork", "fork.c", 74)
OWN = Frame(2, "/usr/bin/x", "start_helper", "../src/helper.c", 21)


def test_a_buffer_is_told_with_what_lies_beside_it() -> None:
    assert buffer_text(HALF) == (
        "2048 bytes at 0x1200, in the heap. On its pages lie 512 bytes before it and 1536 bytes"
        " after it, of them of other buffers in flight: 0x1000 to 0x1200."
    )
    assert buffer_text(replace(HALF, neighbours=())).endswith(
        "after it, none of them another buffer in flight."
    )
    whole = HeldBuffer(0x1000, 0x2000, "o_direct", False, False)
    assert buffer_text(whole) == "4096 bytes at 0x1000. Nothing else lies on its pages."


def test_a_neighbour_is_told_as_far_as_it_is_on_the_same_pages() -> None:
    near = tuple((0x1000 + 128 * i, 0x1080 + 128 * i) for i in range(4))
    text = buffer_text(replace(HALF, neighbours=near))
    assert text.count(" to 0x") == 3
    assert text.endswith("and 1 more.")
    long = buffer_text(replace(HALF, neighbours=((0x1A00, 0x9000),)))
    assert long.endswith("0x1a00 to 0x2000.")


def test_a_remedy_that_helps_one_of_two_says_which() -> None:
    both = [replace(LOST, buffer=HALF), replace(SEEN, buffer=HALF)]
    names = [fit.name for fit in fits_of(both)]
    assert "whole pages (against lost-dma-write)" in names
    assert "MADV_DONTFORK" in names
    assert "whole pages" in [fit.name for fit in fits_of(both[:1])]


def test_the_fork_that_is_to_be_a_spawn_has_its_line() -> None:
    story = tuple(replace(line, stack=(FORK, OWN)) if line.event == "forked" else line
                  for line in LOST.story)  # fmt: skip
    told = " ".join(advice_lines([replace(LOST, buffer=HALF, story=story)], 90)).replace("  ", "")
    assert "in place of fork in start_helper (helper.c:21)" in " ".join(told.split())
    without = " ".join(advice_lines([replace(LOST, buffer=HALF)], 90))
    assert "in place of fork:" in " ".join(without.split())


def test_lines_are_as_wide_as_asked_for() -> None:
    lines = advice_lines([replace(LOST, buffer=HALF)], 60)
    assert all(len(line) <= 60 for line in lines)
    assert lines[0].startswith("  buffer: 2048 bytes")
    assert sum(line.startswith("  remedy: ") for line in lines) >= 4


def test_programs_get_numbers() -> None:
    content = advice_json(replace(LOST, buffer=HALF))
    assert content["buffer"] == {
        "address": 0x1200,
        "length": 0x800,
        "memory": "heap",
        "owner": "in the heap",
        "api": "o_direct",
        "pinned": False,
        "before": 512,
        "after": 1536,
        "neighbours": [{"address": 0x1000, "length": 0x200}],
    }
    assert {"name", "text"} == set(content["remedies"][0])
    assert advice_json(LOST)["buffer"] is None
