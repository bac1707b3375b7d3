from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from uemu.claims.registry import CLAIMS
from uemu.claims.survey import survey

SMALL = [CLAIMS["C01"], CLAIMS["C02"], CLAIMS["C45"]]


def test_a_question_of_two_claims_is_asked_once() -> None:
    told: list[tuple[int, int, str]] = []
    survey([CLAIMS["C01"], CLAIMS["C01"]], progress=lambda *each: told.append(each))
    assert [done for done, _, _ in told] == [1, 2]
    assert {total for _, total, _ in told} == {2}


def test_who_asks_makes_no_difference() -> None:
    alone = survey(SMALL)
    with ThreadPoolExecutor(2) as pool:
        assert survey(SMALL, executor=pool) == alone
    assert [verdict.claim.id for verdict in alone] == ["C01", "C02", "C45"]
