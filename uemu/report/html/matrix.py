"""The matrix as a page: a policy per row, by year, and a scenario per column, by family.

A cell has a letter and a colour for each kind of violation, the letters of
`uemu.report.matrix_table`. Behind a click, or Enter, is what there is to tell
of it. What cells have in common, drawings above all, is in the page once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from markupsafe import Markup

from uemu.oracle.violations import KINDS
from uemu.report.drawing import DrawnStep
from uemu.report.html.drawing import drawing_table
from uemu.report.html.page import render_page, render_part
from uemu.report.matrix_table import (
    BOUNDED,
    LETTERS,
    MEANING,
    NOT_APPLICABLE,
    NOT_RUN,
    NOTHING,
    WRONG,
    Shown,
)
from uemu.report.story import Told, in_order, verdict_text

DISAGREES: Final = "≠"
"""Real processes did something else than the model."""

OTHER_SIGNS: Final = {
    **MEANING,
    NOT_APPLICABLE: "cannot exist under this policy: opened, it says why",
    DISAGREES: "real processes did something else than the model",
}

CLASSES: Final = {
    NOTHING: "none",
    NOT_APPLICABLE: "never",
    NOT_RUN: "unrun",
    BOUNDED: "bound",
    WRONG: "mark",
    DISAGREES: "mark",
}
"""Names for the style of what is no letter."""


class PolicyRow(NamedTuple):
    """The head of a row."""

    name: str
    year: int
    summary: str


class Family(NamedTuple):
    """Columns that belong together: names of scenarios, and what these are."""

    title: str
    scenarios: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Detail:
    """What there is to tell of a cell that was run, or cannot be.

    Attributes:
        shown: what the table shows of it.
        reason: why it cannot exist, or nothing.
        expected: what its canonical order is expected to show, and `because` of what.
        because: a source.
        differs: in what it is not as expected, in words, or nothing.
        live: what real processes did, in words; nothing if they were not asked.
        disagrees: whether that is not what the model did.
        orders: how many orders were run, in words.
        stories: violations and how they came about.
        steps: an order of steps that shows a violation; none if there is none.
        replay: the command that runs it again.
        costs: titles, and figures by their names.
    """

    shown: Shown
    reason: str = ""
    expected: frozenset[str] = frozenset()
    because: str = ""
    differs: str = ""
    live: str = ""
    disagrees: bool = False
    orders: str = ""
    stories: Sequence[Told] = ()
    steps: Sequence[DrawnStep] = ()
    replay: str = ""
    costs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def marks(self) -> str:
        """What stands behind the letters."""
        return (
            BOUNDED * self.shown.bounded
            + WRONG * bool(self.differs)
            + DISAGREES * self.disagrees
        )  # fmt: skip

    @property
    def words(self) -> str:
        """The cell for who does not see its colours."""
        said = [verdict_text(self.shown.kinds) if self.shown.applies else "cannot exist"]
        if self.shown.others:
            said.append(f"in other orders {verdict_text(self.shown.others)}")
        return "; ".join([*said, *(OTHER_SIGNS[mark] for mark in self.marks)])


@dataclass(frozen=True, slots=True)
class _Sign:
    """A letter of a cell, and the classes that colour it."""

    text: str
    style: str


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell of the table.

    Attributes:
        signs: what it showed, a sign each.
        marks: what stands behind them.
        words: the same in words.
        body: which of the page's texts it opens.
    """

    signs: Sequence[_Sign]
    marks: str
    words: str
    body: int

    @property
    def is_wrong(self) -> bool:
        """Whether it is not as it should be."""
        return bool({WRONG, DISAGREES} & set(self.marks))

    @property
    def text(self) -> str:
        """All of its signs, for the filter."""
        return "".join(sign.text for sign in self.signs) + self.marks


class _Shared:
    """Markup that is in the page once, however many cells show it."""

    def __init__(self) -> None:
        self.all: dict[Markup, int] = {}

    def add(self, markup: Markup) -> int:
        """Where it is among all."""
        return self.all.setdefault(markup, len(self.all))


def matrix_page(
    policies: Sequence[PolicyRow],
    families: Sequence[Family],
    details: Mapping[tuple[str, str], Detail],
    *,
    lead: str,
    legend: Sequence[str],
) -> str:
    """The document.

    Args:
        policies: the rows; they are put in the order of their years.
        details: by policy and scenario; one that was not run is missing.
        lead: what was run, in a sentence.
        legend: what the signs in the states of drawings mean, in lines.
    """
    bodies, drawings = _Shared(), _Shared()
    cells = {
        name: _cell(detail, bodies, drawings)
        for name, detail in details.items()
    }  # fmt: skip
    shown = {(row.name, scenario) for row in policies for each in families for scenario in each[1]}
    used = {sign for cell in cells.values() for sign in cell.text}
    used |= {NOT_RUN} if shown - cells.keys() else set()
    kinds = [kind for kind, sign in LETTERS.items() if {sign, sign.lower()} & used]
    return render_page(
        "matrix.html",
        styles=("drawing.css", "matrix.css"),
        scripts=("matrix.js",),
        policies=sorted(policies, key=lambda row: row.year),
        families=families,
        cells=cells,
        unrun=_Cell(_signs(NOT_RUN), "", MEANING[NOT_RUN], -1),
        wrong=[name for name, detail in details.items() if detail.differs or detail.disagrees],
        details=details,
        bodies=list(bodies.all),
        drawings=list(drawings.all),
        kinds=[(_signs(LETTERS[kind])[0], kind, KINDS[kind]) for kind in kinds],
        signs=[(_signs(sign)[0], said) for sign, said in OTHER_SIGNS.items() if sign in used],
        small=any(sign.islower() for sign in used),
        lead=lead,
        legend=legend,
    )


def _cell(detail: Detail, bodies: _Shared, drawings: _Shared) -> _Cell:
    drawing = drawings.add(drawing_table(detail.steps)) if detail.steps else None
    kinds = in_order(detail.shown.kinds | detail.shown.others)
    body = render_part(
        "matrix_detail.html",
        detail=detail,
        kinds=[(_sign_of(kind, detail.shown), kind) for kind in kinds],
        expected=verdict_text(detail.expected),
        drawing=drawing,
    )
    return _Cell(_signs(detail.shown.letters), detail.marks, detail.words, bodies.add(body))


def _sign_of(kind: str, shown: Shown) -> _Sign:
    letter = LETTERS[kind]
    return _signs(letter if kind in shown.kinds else letter.lower())[0]


def _signs(text: str) -> list[_Sign]:
    return [_Sign(sign, CLASSES.get(sign) or _kind_style(sign)) for sign in text]


def _kind_style(letter: str) -> str:
    return f"kind {letter}" if letter.isupper() else f"kind other {letter.upper()}"
