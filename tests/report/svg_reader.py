"""A picture read back: where its texts stand, and what its rows say."""

from __future__ import annotations

from typing import NamedTuple
from xml.etree import ElementTree

from uemu.report.svg import CHARACTER

SVG = "{http://www.w3.org/2000/svg}"


class Line(NamedTuple):
    """A line of text: where it begins, its baseline, in pixels, and the text."""

    x: float
    y: float
    text: str

    @property
    def right(self) -> float:
        """Where it ends, by the width its characters are given."""
        return self.x + len(self.text) * CHARACTER


def root(document: str) -> ElementTree.Element:
    """The ``svg`` element."""
    return ElementTree.fromstring(document)


def words(node: ElementTree.Element) -> str:
    """A text without what folding adds and takes, its spaces and line ends."""
    return "".join("".join(node.itertext()).split())


def lines(node: ElementTree.Element) -> list[Line]:
    """The lines of the texts in an element."""
    return [
        Line(float(part.get("x", "nan")), float(part.get("y", "nan")), part.text or "")
        for text in node.iter(f"{SVG}text")
        for part in (text.findall(f"{SVG}tspan") or [text])
    ]


def texts(document: str, kind: str) -> list[str]:
    """The texts of a kind, each in one piece, without spaces."""
    return [words(node) for node in root(document).iter(f"{SVG}text") if node.get("class") == kind]


def boxes(node: ElementTree.Element, kind: str = "box") -> list[dict[str, float]]:
    """The rectangles of a kind: ``x``, ``y``, ``width`` and ``height`` of each."""
    return [
        {name: float(box.get(name, "0")) for name in ("x", "y", "width", "height")}
        for box in node.iter(f"{SVG}rect")
        if box.get("class") == kind
    ]


def rows(document: str) -> list[ElementTree.Element]:
    """The rows, from the top down."""
    return [node for node in root(document).iter(f"{SVG}g") if node.get("class") == "row"]


def told(document: str) -> list[tuple[str, str, str, str, str]]:
    """Of each row its number, CPU, function, note and state, without spaces."""
    names: dict[float, str] = {}
    found = []
    for node in root(document):
        if node.get("class") == "head":
            names[lines(node)[0].x] = words(node)
        elif node.get("class") == "row":
            cells = {text.get("class"): text for text in node.iter(f"{SVG}text")}
            step = cells.get("step")
            number, function, note, state = (
                words(cells[kind]) if kind in cells else ""
                for kind in ("number", "step", "note", "state")
            )
            cpu = "" if step is None else names[lines(step)[0].x]
            found.append((number, cpu, function, note, state))
    return found
