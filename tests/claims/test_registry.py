from __future__ import annotations

import pytest

from uemu.claims.claim import CONFIRMED, REFUTED, UNDECIDABLE, Claim
from uemu.claims.measure import FIGURES, RELATIONS, Measure
from uemu.claims.question import Search
from uemu.claims.registry import CLAIMS, find_claim
from uemu.claims.watches import WATCHES
from uemu.oracle.violations import KINDS
from uemu.policy.registry import all_names
from uemu.scenario.registry import SCENARIOS

every = pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS.keys())


def test_they_are_in_order_and_each_has_its_id() -> None:
    assert list(CLAIMS) == sorted(CLAIMS)
    assert all(claim.id == id_ for id_, claim in CLAIMS.items())
    assert list(CLAIMS) == [f"C{number:02}" for number in range(1, 50)]


@every
def test_a_claim_is_complete(claim: Claim) -> None:
    assert claim.text[0] != " "
    assert not claim.text.endswith(".")
    assert claim.sources
    assert claim.readings
    assert claim.expected in {CONFIRMED, REFUTED, UNDECIDABLE}
    assert claim.because
    names = [reading.name for reading in claim.readings]
    assert len(set(names)) == len(names)
    assert all(reading.questions for reading in claim.readings)


@every
def test_what_a_claim_asks_for_exists(claim: Claim) -> None:
    for question in claim.questions:
        if isinstance(question, Search | Measure):
            where = question.where
            assert where.scenario in SCENARIOS
            assert where.policy in all_names()
            assert SCENARIOS[where.scenario].not_applicable(where().kernel.hooks) is None
        if isinstance(question, Search):
            watched = WATCHES[question.where.watch].names if question.where.watch else {}
            assert question.kinds <= {*KINDS, *watched}
        if isinstance(question, Measure):
            assert question.relation in RELATIONS
            assert question.figure in FIGURES
            assert question.base in {"", *all_names()}


def test_a_claim_is_found_by_its_id() -> None:
    assert find_claim("C05") is find_claim("c05") is CLAIMS["C05"]


def test_an_unknown_one_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown claim 'C055'; nearest: .*C05"):
        find_claim("C055")
    with pytest.raises(ValueError, match="unknown claim 'C50'"):
        find_claim("C50")
