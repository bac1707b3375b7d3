"""Finds what is expected of a cell."""

from __future__ import annotations

import functools
import importlib

from uemu.expected.cell import Expected


@functools.cache
def expected_cells(scenario: str) -> dict[str, Expected]:
    """What is expected of a scenario: policy to its cell.

    Raises:
        ValueError: a policy is named twice.
    """
    module = importlib.import_module(f"uemu.expected.{scenario.replace('-', '_')}")
    cells: dict[str, Expected] = {}
    for group in module.EXPECTED:
        for policy in group.policies:
            if policy in cells:
                raise ValueError(f"{scenario} says twice what {policy} shows")
            cells[policy] = Expected(group.kinds, group.reason)
    return cells


def find_expected(scenario: str, policy: str) -> Expected:
    """What is expected of one cell; a variant that is not named is as its policy.

    Raises:
        KeyError: nothing is.
    """
    cells = expected_cells(scenario)
    return cells[policy] if policy in cells else cells[policy.partition(":")[0]]
