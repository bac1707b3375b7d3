"""The matrix as a table: a scenario per row, a policy per numbered column, a sign per kind.

Where the columns are wider than the terminal there are several tables, one
below the other. A capital stands for what the canonical order shows, a small
letter for what other orders alone show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from rich.table import Table
from rich.text import Text

from uemu.report.columns import GAP
from uemu.report.tables import grid

LETTERS: Final = {
    "lost-dma-write": "L",
    "dma-write-seen-by-other": "S",
    "foreign-dma-read": "F",
    "stale-dma-read": "O",
    "secret-leak": "K",
    "torn-fork-copy": "T",
    "lost-store": "W",
    "fork-blocked": "B",
    "deadlock": "D",
    "livelock": "V",
    "dirty-lost": "C",
    "pinned-page-freed": "P",
    "refcount-leak": "R",
    "not-exclusive": "X",
}
"""A letter for each kind of violation, in the order of `KINDS`."""

NOTHING: Final = "-"
NOT_APPLICABLE: Final = "."
NOT_RUN: Final = "?"
WRONG: Final = "!"
BOUNDED: Final = "~"

MEANING: Final = {
    NOTHING: "nothing is violated",
    NOT_APPLICABLE: "cannot exist",
    NOT_RUN: "was not run",
    WRONG: "not what is expected",
    BOUNDED: "not every order was run",
}


class Shown(NamedTuple):
    """A cell, as far as the table tells of it.

    Attributes:
        kinds: what its canonical order showed.
        others: what other orders alone showed.
        applies: whether it can exist.
        bounded: whether other orders were run, and not all.
        wrong: whether anything is not as it should be.
    """

    kinds: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    applies: bool = True
    bounded: bool = False
    wrong: bool = False

    @property
    def sign(self) -> str:
        """The cell in a few characters."""
        return self.letters + BOUNDED * self.bounded + WRONG * self.wrong

    @property
    def letters(self) -> str:
        """What it showed, without the marks that stand behind."""
        if not self.applies:
            return NOT_APPLICABLE
        letters = [LETTERS[kind] for kind in LETTERS if kind in self.kinds]
        letters += [LETTERS[kind].lower() for kind in LETTERS if kind in self.others]
        return "".join(letters) or NOTHING

    @property
    def style(self) -> str:
        """How a terminal shows it."""
        if self.wrong:
            return "bold reverse"
        if self.kinds or self.others:
            return "red"
        return "green" if self.applies else "dim"


Cells = Mapping[tuple[str, str], Shown]
"""Cells by policy and scenario; one that was not run is missing."""


def matrix_tables(
    cells: Cells, policies: Sequence[str], scenarios: Sequence[str], width: int
) -> list[Table]:
    """The tables, each no wider than ``width``."""
    columns = len(str(len(policies))), *(len(each.sign) for each in cells.values())
    names = max(map(len, scenarios), default=0)
    room = max((width - names - len(GAP) + 1) // (max(columns) + 1), 1)
    numbered = list(enumerate(policies, 1))
    parts = -(-len(numbered) // room)
    tables = []
    for part in range(parts):
        first, last = (len(numbered) * at // parts for at in (part, part + 1))
        tables.append(_table(cells, numbered[first:last], scenarios, max(columns)))
    return tables


def _table(
    cells: Cells, policies: Sequence[tuple[int, str]], scenarios: Sequence[str], column: int
) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    for _ in policies:
        table.add_column(no_wrap=True, min_width=column)
    table.add_row("", *(Text(str(number), style="bold") for number, _ in policies))
    for scenario in scenarios:
        row = [Text(f"{scenario} ", style="bold cyan")]
        for _, policy in policies:
            shown = cells.get((policy, scenario))
            row.append(Text(shown.sign, style=shown.style) if shown else Text(NOT_RUN))
        table.add_row(*row)
    return table


def sign_lines(cells: Iterable[Shown], width: int, *, unrun: bool = False) -> list[str]:
    """What the signs in use mean, in lines."""
    used = {sign for cell in cells for sign in cell.sign} | ({NOT_RUN} if unrun else set())
    meanings = [
        f"{sign} {meaning}"
        for sign, meaning in (*((letter, kind) for kind, letter in LETTERS.items()),
                              *MEANING.items())
        if sign in used or sign.lower() in used
    ]  # fmt: skip
    if any(sign.islower() for sign in used):
        meanings.append("a small letter: in other orders than the canonical one")
    lines = [""]
    for meaning in meanings:
        if lines[-1] and len(lines[-1]) + len(GAP + meaning) > width:
            lines.append("")
        lines[-1] += GAP + meaning if lines[-1] else meaning
    return lines


def policy_legend(policies: Sequence[str], width: int) -> Table:
    """The numbers of the policies, in as many columns as there is room for."""
    names = [f"{number:>2} {name}" for number, name in enumerate(policies, 1)]
    widest = max(map(len, names), default=1) + len(GAP)
    columns = min(max((width + len(GAP)) // widest, 1), len(names) or 1)
    rows = -(-len(names) // columns)
    table = grid()
    for at in range(rows):
        table.add_row(*names[at::rows])
    return table
