"""What there is to choose from, as tables: one line each where the terminal is wide enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.table import Table
from rich.text import Text

from uemu.mm.hooks import PolicyHooks


def grid() -> Table:
    """An empty table without lines, its columns two spaces apart."""
    return Table.grid(padding=(0, 2, 0, 0), pad_edge=False)


def policy_table(policies: Iterable[type[PolicyHooks]]) -> Table:
    """The policies with their years and, below each, its variants."""
    table = grid()
    for policy in policies:
        table.add_row(_name(policy.name), str(policy.year), Text(policy.summary))
        for variant, summary in policy.variants.items():
            table.add_row(Text(f"  :{variant}", style="cyan"), "", Text(summary))
    return table


def summary_table(summaries: Mapping[str, str]) -> Table:
    """Names and what they stand for."""
    table = grid()
    for name, summary in summaries.items():
        table.add_row(_name(name), Text(summary))
    return table


def _name(name: str) -> Text:
    return Text(name, style="bold cyan", no_wrap=True)
