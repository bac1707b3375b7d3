"""How an expectation is written down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Expected(NamedTuple):
    """What one cell shows, and one sentence for it.

    Attributes:
        kinds: the violations, by name; none where the cell cannot exist.
        reason: a mail, a commit, a rule.
    """

    kinds: frozenset[str]
    reason: str


class Group(NamedTuple):
    """Policies that show the same, for the same reason."""

    policies: tuple[str, ...]
    kinds: frozenset[str]
    reason: str


def expect(policies: str, kinds: str, reason: str) -> Group:
    """What policies show: names of policies (``NAME`` or ``NAME:VARIANT``) and of violations."""
    return Group(tuple(policies.split()), frozenset(kinds.split()), reason)


def as_in(other: Iterable[Group], policies: str) -> tuple[Group, ...]:
    """What policies show in another scenario, for the reason that is given there.

    Raises:
        ValueError: that scenario does not name one of them.
    """
    names = policies.split()
    groups = [group._replace(policies=tuple(p for p in group.policies if p in names))
              for group in other]  # fmt: skip
    missing = set(names).difference(*(group.policies for group in groups))
    if missing:
        raise ValueError(f"the other scenario does not name {', '.join(sorted(missing))}")
    return tuple(group for group in groups if group.policies)
