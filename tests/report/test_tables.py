"""The lists of policies and scenarios."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from uemu.policy.registry import POLICIES
from uemu.report.tables import policy_table, summary_table


def lines_of(table: Table, width: int) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_policies_have_a_name_a_year_and_a_summary() -> None:
    (line,) = lines_of(policy_table([POLICIES["linux-2.6.29"]]), 120)
    policy = POLICIES["linux-2.6.29"]
    assert line == f"linux-2.6.29  2009  {policy.summary}"


def test_variants_stand_below_their_policy() -> None:
    policy = POLICIES["arcangeli-2009-v2"]
    first, *variants = lines_of(policy_table([policy]), 120)
    assert first.startswith("arcangeli-2009-v2  2009  ")
    assert [line.split()[0] for line in variants] == [f":{name}" for name in policy.variants]


def test_a_narrow_terminal_folds_summaries_and_keeps_names() -> None:
    lines = lines_of(summary_table({"lost-read": "a read is submitted and lost"}), 28)
    assert lines == ["lost-read  a read is", "           submitted and", "           lost"]
