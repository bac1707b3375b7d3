"""Policies by name."""

from __future__ import annotations

import pytest

from tests.common import ALL_POLICIES
from uemu.policy.registry import POLICIES, make_policy


def test_the_tests_know_every_policy() -> None:
    assert tuple(POLICIES) == ALL_POLICIES


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_made_fresh_each_time(name: str) -> None:
    assert make_policy(name) is not make_policy(name)
    assert make_policy(name).name == name


def test_a_variant_follows_a_colon() -> None:
    assert make_policy("arcangeli-2009-v2:norecheck").variant == "norecheck"
    assert make_policy("arcangeli-2009-v2").variant == ""


@pytest.mark.parametrize(
    ("name", "near"), [("linux-2.6.30", "linux-2.6.29"), ("arcangeli", "arcangeli-2009-v2")]
)
def test_an_unknown_policy_names_the_nearest(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"unknown policy '{name}'; nearest: .*{near}"):
        make_policy(name)


def test_a_colon_without_a_variant_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'linux-6\.5:' names no variant; without one"):
        make_policy("linux-6.5:")


def test_an_unknown_variant_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="no variant 'x'; it has: norecheck, nomb"):
        make_policy("arcangeli-2009-v2:x")
