"""A docstring, taken apart: paragraphs, parts, a drawing."""

from __future__ import annotations

from uemu.report.docstring import Told, read_docstring, told_lines

DOCSTRING = """A policy, in a line.

What it does is said
here: and here.

        CPU0:           CPU1
        looks           flushes

    Since then it is so.

Holds:   something
         that goes on.
Not modelled: two words.
Source:  Message-ID <a:b@c>; Linux v2.6.29.

Race: lost-read uemu1:0 -> no violation

    #  io   note  state
    -  ---  ----  -----

State: the frame.
"""


def test_paragraphs_are_joined_and_what_is_set_off_is_kept() -> None:
    told = read_docstring(DOCSTRING)
    assert told.about == (
        "A policy, in a line.",
        "What it does is said here: and here.",
        "        CPU0:           CPU1\n        looks           flushes",
        "    Since then it is so.",
    )


def test_parts_are_in_one_line_and_without_the_drawing() -> None:
    told = read_docstring(DOCSTRING)
    assert told.parts == {
        "Holds": "something that goes on.",
        "Not modelled": "two words.",
        "Source": "Message-ID <a:b@c>; Linux v2.6.29.",
    }
    assert told.drawing.splitlines()[0] == "Race: lost-read uemu1:0 -> no violation"
    assert told.drawing.splitlines()[2] == "    #  io   note  state"
    assert told.drawing.splitlines()[-1] == "State: the frame."


def test_there_may_be_none() -> None:
    assert read_docstring(None) == read_docstring("") == Told()
    assert read_docstring("Only this.") == Told(("Only this.",))


def test_a_paragraph_is_wrapped_unless_it_keeps_its_lines() -> None:
    assert told_lines("one two three", 8) == ["one two", "three"]
    assert told_lines("one-two three", 5, "  ") == ["  one-two", "  three"]
    assert told_lines("  a   b\n    c ", 5) == ["  a   b", "    c"]
