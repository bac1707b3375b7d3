"""Costs as a table."""

from __future__ import annotations

from uemu.matrix.costs import Costs
from uemu.report.costs_table import HEADS, costs_lines


def test_every_figure_has_a_column() -> None:
    assert list(HEADS) == list(Costs().as_json())


def test_a_policy_per_row_and_figures_below_their_heads() -> None:
    shown: dict[str, dict[str, object]] = {
        "linux-2.6.29": {**Costs(cow_copies=10240, faults=2).as_json()},
        "linux-6.5": {**Costs(fork_copies=1).as_json(), "gup_fast_atomics": "3/64"},
    }
    assert costs_lines(shown) == [
        "                fork     COW                gup-fast  gup-fast    fork",
        "Costs         copies  copies  IPIs  faults   atomics  barriers  waited  frames",
        "linux-2.6.29       0   10240     0       2         0         0       0       0",
        "linux-6.5          1       0     0       0      3/64         0       0       0",
    ]
    assert costs_lines({}, "By the page")[1].startswith("By the page  copies")
