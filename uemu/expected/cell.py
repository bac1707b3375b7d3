"""How an expectation is written down."""

from __future__ import annotations

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
