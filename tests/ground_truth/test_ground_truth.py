"""Measured on real kernels, reproduced on real processes by the policy that stands for each.

Every row of ``ground-truth.json`` is here: it runs, or the kernel had no such
thing.
"""

from __future__ import annotations

from collections import Counter

import pytest

import uemu
from tests.each import each
from tests.ground_truth.probe import (
    ACTIONS,
    LiveWorld,
    Probe,
    Row,
    SimulatedWorld,
    read_rows,
    words,
)
from uemu.policy.registry import POLICIES

STANDS_FOR = {
    "4.19.13": "linux-4.19",
    "5.10.223": "linux-5.11",
    "6.1.176": "linux-5.19",
    "6.18.44": "linux-6.5",
}
"""The policy that stands for a kernel, in these cases at least."""

CASES = (
    *("an", "a0", "a1", "a2", "a3", "a4", "a5", "a6"),
    *("b1", "b2", "b3"),
    *("c1", "c2", "c3", "c4", "c5", "c6"),
    *("d1", "d2", "d3", "d4", "d5"),
    *("e1", "e2", "e3", "e4", "e5", "z1"),
    *("f0", "f1", "f2", "f3", "k1", "k2", "t1", "t2", "t3", "h1", "h2"),
)

ROWS = read_rows()


def is_run(row: Row) -> bool:
    """Whether a row is one that runs here."""
    return bool(row.seen) and row.kernel in STANDS_FOR and row.case in CASES


def row_id(row: Row) -> str:
    """``6.18.44-a1-io_uring``."""
    return f"{row.kernel}-{row.case}-{row.pin}"


RUN = [row for row in ROWS if is_run(row)]

every_row = each("row", RUN, row_id)


@pytest.mark.needs_ptrace
@every_row
@pytest.mark.parametrize("kernel", STANDS_FOR)
def test_real_processes_see_what_the_real_kernel_showed(kernel: str, row: Row) -> None:
    if row.kernel != kernel:
        return
    with uemu.Machine(policy=STANDS_FOR[row.kernel]) as machine:
        assert Probe(LiveWorld(machine), row).run() == row.seen
        machine.check()


@every_row
def test_the_simulated_kernel_sees_it_too(row: Row) -> None:
    world = SimulatedWorld(STANDS_FOR[row.kernel])
    assert Probe(world, row).run() == row.seen
    world.world.kernel.check(at_rest=True)


# Nothing is left out in silence


def test_every_row_runs_or_says_why_not() -> None:
    assert len(ROWS) == 4 * 115
    why: Counter[str] = Counter()
    for row in ROWS:
        if is_run(row):
            why["run"] += 1
        elif not row.seen:
            why["that kernel has no such thing"] += 1
        else:
            pytest.fail(f"{row_id(row)} neither runs nor says why not")
    assert why == {
        "run": 409,
        "that kernel has no such thing": 51,
    }


def test_no_case_is_left_out() -> None:
    assert set(CASES) == {row.case for row in ROWS}


def test_every_kernel_has_a_policy_that_is_there() -> None:
    assert set(STANDS_FOR.values()) <= set(POLICIES)


def test_every_word_of_a_row_that_runs_has_a_meaning() -> None:
    used = {word for row in RUN for word in words(row.steps)}
    assert used == set(ACTIONS)


# The rows tell kernels apart


# Rows that differ under the policies in the order of POLICIES.
DIFFERING = {
    #             2.6.29  v2  4.19  5.8  5.9  5.11  5.19  6.5
    "4.19.13": (16, 41, 0, 14, 27, 27, 25, 31),
    "5.10.223": (58, 66, 40, 41, 4, 0, 10, 44),
    "6.1.176": (54, 60, 36, 37, 14, 10, 0, 40),
    "6.18.44": (51, 27, 36, 33, 36, 35, 32, 0),
}
UNDER = (
    "linux-2.6.29",
    "arcangeli-2009-v2",
    "linux-4.19",
    "linux-5.8",
    "linux-5.9",
    "linux-5.11",
    "linux-5.19",
    "linux-6.5",
)


@pytest.mark.parametrize("kernel", DIFFERING)
def test_only_its_own_policy_agrees_with_a_kernel(kernel: str) -> None:
    def differs(row: Row, policy: str) -> bool:
        try:
            return Probe(SimulatedWorld(policy), row).run() != row.seen
        except uemu.Fault:  # MADV_WIPEONFORK, soft-dirty, KSM or THP is not there
            return True

    rows = [row for row in RUN if row.kernel == kernel]
    counted = tuple(sum(differs(row, policy) for row in rows) for policy in UNDER)
    assert counted == DIFFERING[kernel]
    agreeing = {policy for policy, differing in zip(UNDER, counted, strict=True) if not differing}
    assert agreeing == {STANDS_FOR[kernel]}
