"""``uemu policies``."""

from __future__ import annotations

import json

from tests.cli.conftest import Uemu
from uemu.policy.registry import NEWEST, POLICIES, make_policy


def test_lists_every_policy_with_its_variants(uemu: Uemu) -> None:
    done = uemu("policies")
    assert (done.status, done.err) == (0, "")
    for policy in POLICIES.values():
        assert f"{policy.name}  " in done.out
        for variant in policy.variants:
            assert f"  :{variant}  " in done.out


def test_json_names_what_can_be_asked_for(uemu: Uemu) -> None:
    listed = json.loads(uemu("policies", "--json").out)
    assert (listed["uemu"], listed["command"], listed["newest"]) == (1, "policies", NEWEST)
    assert [each["name"] for each in listed["policies"]] == list(POLICIES)
    for each in listed["policies"]:
        assert set(each) == {"name", "year", "summary", "variants"}
        for variant in each["variants"]:
            make_policy(f"{each['name']}:{variant}")
