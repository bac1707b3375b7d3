from __future__ import annotations

import re
from pathlib import Path

import pytest

from uemu.claims.registry import CLAIMS
from uemu.claims.source import HILDENBRAND, KARA, QUOTED, Source, torvalds

SOURCES = sorted({source for claim in CLAIMS.values() for source in claim.sources}, key=str)


def test_a_source_is_an_author_and_a_moment() -> None:
    source = torvalds("11 18:46", "x@y")
    assert str(source) == "L. Torvalds, 2009-03-11 18:46"
    assert source.as_json() == {
        "author": "L. Torvalds",
        "when": "2009-03-11 18:46",
        "message_id": "x@y",
        "document": "003",
    }
    assert HILDENBRAND.as_json()["document"] == "001"


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_a_source_is_complete(source: Source) -> None:
    assert re.fullmatch(r"(\S\. \w+|[A-Z]+ \w\.)", source.author)
    if source not in (KARA, QUOTED):
        assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d", source.when)
    if source.document != "002" and source != QUOTED:
        assert re.fullmatch(r"[^\s<>@]+@[^\s<>@]+", source.message_id)
    assert source.document in {"000", "001", "002", "003", "004"}


def test_what_is_not_known_is_not_cited() -> None:
    assert torvalds("11 18:46", "x@y").cited == "L. Torvalds, 2009-03-11 18:46, document 003, <x@y>"
    assert KARA.cited == "J. Kara, 2021, document 002"
    assert KARA.as_json()["message_id"] is None


def test_one_moment_is_one_mail() -> None:
    mails = {(source.author, source.when): source.message_id for source in SOURCES}
    known = [message_id for message_id in mails.values() if message_id]
    assert len(mails) == len(SOURCES)
    assert len(known) == len(set(known))


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_a_message_id_is_of_its_day(source: Source) -> None:
    """Most mailers write the date into it, in the time of where they are."""
    if source.message_id.endswith("camel@pasglop") or not source.message_id:
        pytest.skip("counts seconds, or is not known")
    day = source.when[:10].replace("-", "")
    later = f"{day[:6]}{int(day[6:]) + 1:02}"
    short = day[2:]
    assert any(
        source.message_id.startswith(prefix)
        for prefix in (
            day,
            later,
            f"alpine.LFD.2.00.{short}",
            f"alpine.LFD.2.00.{int(short) - 1:06}",
        )
    )


def test_who_looks_for_a_mail_finds_its_module() -> None:
    package = Path(__file__).resolve().parents[2] / "uemu" / "claims"
    text = "".join(path.read_text() for path in package.glob("*.py"))
    assert all(source.message_id in text for source in SOURCES)
