"""A small matrix, made by hand: each thing that a cell can be, once."""

from __future__ import annotations

from tests.report.runs import made_run
from uemu.report.html.matrix import Detail, Family, PolicyRow, matrix_page
from uemu.report.matrix_table import Shown

STEPS = made_run(
    ["io", "fork"],
    ("io", "get_page", "hold pfn 0", "0: 2/1"),
    ("fork", "copy_one_pte", "share <read-only>", "0: 3/2"),
).records

LOST = frozenset({"lost-dma-write"})
BOTH = LOST | {"dma-write-seen-by-other"}

POLICIES = [
    PolicyRow("newest", 2023, "pins"),
    PolicyRow("oldest", 2001, "locks <pages>"),
    PolicyRow("older", 2009, "shares"),
    PolicyRow("older:fixed", 2009, "shares less"),
]
FAMILIES = [
    Family("writes", {"lost-read": "read, fork", "aligned": "read, fork, whole page"}),
    Family("swap", {"swapped": "out and in"}),
]

LOSING = Detail(
    Shown(BOTH),
    expected=BOTH,
    because="a mail of 2009",
    orders="the canonical one",
    stories=[(["lost-dma-write: the <parent> misses it"], ["io: gets pfn 0", "fork: shares"])],
    steps=STEPS,
    replay="uemu replay lost-read --policy older uemu1:01",
    costs={"Costs": {"COW copies": "1"}, "By the page": {}},
)
DETAILS = {
    ("oldest", "lost-read"): LOSING,
    ("older", "lost-read"): Detail(
        Shown(LOST, wrong=True), expected=BOTH, because="a mail of 2009", steps=STEPS,
        differs="lost-dma-write, not both", replay="uemu replay lost-read --policy older uemu1:0",
    ),
    ("older:fixed", "lost-read"): Detail(
        Shown(others=LOST, bounded=True), because="fork copies", orders="40, not all there are"
    ),
    ("newest", "lost-read"): Detail(Shown(), because="a pin", live="the same: no violation"),
    ("oldest", "aligned"): Detail(Shown(applies=False), reason="it has no direct I/O"),
    ("older", "aligned"): Detail(Shown(applies=False), reason="it has no direct I/O"),
    ("newest", "aligned"): Detail(
        Shown(wrong=True), because="a pin", live="violations: [] simulated", disagrees=True
    ),
    ("newest", "swapped"): Detail(Shown(), because="a pin", live="the same: no violation"),
}  # fmt: skip


def made_page() -> str:
    """The page; five of its cells were not run."""
    return matrix_page(POLICIES, FAMILIES, DETAILS, lead="12 cells, 8 run", legend=["State: x"])
