"""A page read back without a browser: its tables, and what stands behind the cells."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import NamedTuple

VOID = {"meta", "input", "br"}


class Element:
    """An element, its attributes, and what is in it."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element | str] = []

    @property
    def text(self) -> str:
        """All text in it."""
        return "".join(each if isinstance(each, str) else each.text for each in self.children)

    def all(self, tag: str) -> Iterator[Element]:
        """The elements of that name in it, however deep."""
        for each in self.children:
            if isinstance(each, Element):
                if each.tag == tag:
                    yield each
                yield from each.all(tag)

    def one(self, tag: str, **attributes: str) -> Element:
        """The only such element in it; ``class_`` stands for class."""
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        (found,) = (each for each in self.all(tag) if wanted.items() <= each.attributes.items())
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.path = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.path[-1].children.append(element)
        if tag not in VOID:
            self.path.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.path[-1].tag == tag, f"</{tag}> closes <{self.path[-1].tag}>"
        self.path.pop()

    def handle_data(self, data: str) -> None:
        self.path[-1].children.append(data)


def read(document: str) -> Element:
    """The document; each element that is opened must be closed in its turn."""
    reader = _Reader()
    reader.feed(document)
    reader.close()
    (root,) = reader.path
    return root


class ReadCell(NamedTuple):
    """A cell of the matrix.

    Attributes:
        signs: its letters and marks.
        words: what a screen reader says.
        body: what it opens, or None.
        drawing: the table in it, or None.
    """

    signs: str
    words: str
    body: Element | None
    drawing: Element | None


def matrix(root: Element) -> dict[tuple[str, str], ReadCell]:
    """The cells by policy and scenario, in the order of the page."""
    table = root.one("table", class_="matrix")
    heads, rows = table.one("thead"), table.one("tbody")
    scenarios = [each.text for each in heads.one("tr", class_="names").all("th")]
    parts = {each.attributes["id"]: each for each in root.all("template")}
    cells = {}
    for row in rows.all("tr"):
        policy = row.one("th").one("b").text
        for scenario, cell in zip(scenarios, row.all("td"), strict=True):
            attributes = cell.attributes
            body = parts[f"body-{attributes['data-body']}"] if "data-body" in attributes else None
            at = [each.attributes.get("data-drawing") for each in body.all("div")] if body else []
            drawing = parts[f"drawing-{at[0]}"] if at else None
            assert cell.text == attributes["data-signs"]
            cells[policy, scenario] = ReadCell(cell.text, attributes["aria-label"], body, drawing)
    return cells


def told(drawing: Element) -> list[tuple[str, ...]]:
    """The steps of a drawing: number, CPU, function, note, state; without spaces."""
    cpus = [each.text for each in drawing.all("th")][1:-2]
    steps = []
    for row in drawing.one("tbody").all("tr"):
        number, *columns, note, state = (each.text for each in row.all("td"))
        ((at, function),) = ((at, text) for at, text in enumerate(columns) if text)
        steps.append(tuple("".join(each.split()) for each in
                           (number, cpus[at], function, note, state)))  # fmt: skip
    return steps
