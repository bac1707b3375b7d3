"""An explanation in lines."""

from __future__ import annotations

from uemu.oracle.remedies import Remedy
from uemu.report.explanation import Explanation, grouped, remedy_texts


def test_paragraphs_then_parts_beside_their_names_then_a_table_and_the_drawing() -> None:
    told = Explanation(
        "a title",
        ["one two three four five six seven"],
        {"Holds": ["a b c d e f g h i j", "k"], "Empty": [], "Not modelled": ["l"]},
        ["Costs  a"],
        "Race: x\n\n    #  io",
    )
    assert told.lines(24) == [
        "one two three four five",
        "six seven",
        "",
        "Holds         a b c d e",
        "              f g h i j",
        "              k",
        "Not modelled  l",
        "",
        "Costs  a",
        "",
        "Race: x",
        "",
        "    #  io",
    ]


def test_a_remedy_names_its_source() -> None:
    assert remedy_texts([Remedy("do so", "it helps.", "a mail")]) == ["do so: it helps. (a mail)"]


def test_names_are_grouped_by_what_they_show() -> None:
    lost = frozenset({"lost-dma-write"})
    shown = {"a": lost, "b": frozenset[str](), "c": lost, "d": frozenset({"livelock"})}
    assert grouped(shown) == ["lost-dma-write: a, c", "livelock: d"]
    assert grouped({"b": frozenset()}) == []
