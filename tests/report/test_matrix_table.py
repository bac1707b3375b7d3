"""The matrix as a table: it fits, and every sign has a meaning."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from uemu.oracle.violations import KINDS
from uemu.report.matrix_table import (
    LETTERS,
    Shown,
    matrix_tables,
    policy_legend,
    sign_lines,
)

LOST = frozenset({"lost-dma-write"})
SEEN = frozenset({"dma-write-seen-by-other"})


def lines_of(table: Table, width: int = 100) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_every_kind_has_a_letter_of_its_own_whatever_its_case() -> None:
    assert list(LETTERS) == list(KINDS)
    assert len({letter.lower() for letter in LETTERS.values()}) == len(KINDS)
    assert all(letter.isupper() for letter in LETTERS.values())


def test_signs() -> None:
    assert Shown().sign == "-"
    assert Shown(applies=False).sign == "."
    assert Shown(LOST | SEEN).sign == "LS"
    assert Shown(LOST, SEEN).sign == "Ls"
    assert Shown(frozenset(), LOST, bounded=True).sign == "l~"
    assert Shown(bounded=True, wrong=True).sign == "-~!"


def test_a_row_per_scenario_and_a_column_per_policy() -> None:
    cells = {
        ("linux-2.6.29", "lost-read"): Shown(LOST | SEEN),
        ("linux-6.5", "lost-read"): Shown(),
        ("linux-2.6.29", "wipeonfork"): Shown(applies=False),
    }
    (table,) = matrix_tables(cells, ["linux-2.6.29", "linux-6.5"], ["lost-read", "wipeonfork"], 100)
    assert lines_of(table) == [
        "            1  2",
        "lost-read   LS -",
        "wipeonfork  .  ?",
    ]


def test_thirty_policies_fit_a_hundred_columns_in_tables_of_about_one_size() -> None:
    policies = [f"policy-{number}" for number in range(30)]
    scenarios = ["swapped-out-pinned-then-fork", "lost-read"]
    cells = {(policy, name): Shown(LOST | SEEN) for policy in policies for name in scenarios}
    tables = matrix_tables(cells, policies, scenarios, 100)
    told = [lines_of(table) for table in tables]
    assert [len(lines[0].split()) for lines in told] == [15, 15]
    assert [number for lines in told for number in lines[0].split()] == [
        str(number) for number in range(1, 31)
    ]
    assert all(len(line) <= 100 for lines in told for line in lines)
    assert all(line.count("LS") == 15 for lines in told for line in lines[1:])


def test_a_terminal_too_narrow_for_one_column_gets_one_nevertheless() -> None:
    cells = {("a", "lost-read"): Shown(), ("b", "lost-read"): Shown()}
    assert len(matrix_tables(cells, ["a", "b"], ["lost-read"], 5)) == 2


def test_the_signs_that_are_used_are_explained_and_no_others() -> None:
    (line,) = sign_lines([Shown(LOST, SEEN), Shown()], 200)
    assert line == (
        "L lost-dma-write  S dma-write-seen-by-other  - nothing is violated"
        "  a small letter: in other orders than the canonical one"
    )
    assert sign_lines([Shown()], 100, unrun=True) == ["- nothing is violated  ? was not run"]
    assert sign_lines([Shown(LOST), Shown()], 30) == ["L lost-dma-write", "- nothing is violated"]


def test_the_policies_are_numbered_down_the_columns() -> None:
    assert lines_of(policy_legend(["linux-2.6.29", "linux-5.9", "linux-6.5"], 34)) == [
        " 1 linux-2.6.29   3 linux-6.5",
        " 2 linux-5.9",
    ]
