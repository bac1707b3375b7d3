"""What a scenario costs under each policy, as a table: a policy per row, a figure per column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from uemu.report.columns import GAP

HEADS: Final = {
    "fork_copies": ("fork", "copies"),
    "cow_copies": ("COW", "copies"),
    "tlb_flushes": ("", "IPIs"),
    "faults": ("", "faults"),
    "gup_fast_atomics": ("gup-fast", "atomics"),
    "gup_fast_barriers": ("gup-fast", "barriers"),
    "fork_waited": ("fork", "waited"),
    "peak_frames": ("", "frames"),
}
"""The heads of the figures: pages that fork copied, pages that faults and gup copied, TLBs of
other CPUs flushed, traps, what gup-fast executed, steps others took while fork waited, page
frames in use at most."""


def costs_lines(costs: Mapping[str, Mapping[str, object]], title: str = "Costs") -> list[str]:
    """The table, its figures by row and by the names of `HEADS`; none ends in a space."""
    rows = [
        ("", [first for first, _ in HEADS.values()]),
        (title, [second for _, second in HEADS.values()]),
    ]
    rows += [(name, [str(told[figure]) for figure in HEADS]) for name, told in costs.items()]
    names = max(len(name) for name, _ in rows)
    widths = [max(len(cells[at]) for _, cells in rows) for at in range(len(HEADS))]
    return [
        GAP.join(
            [
                name.ljust(names),
                *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)),
            ]
        ).rstrip()
        for name, cells in rows
    ]
