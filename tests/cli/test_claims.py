from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.conftest import Uemu
from uemu.claims.claim import REFUTED
from uemu.claims.registry import CLAIMS
from uemu.cli.claims import _show, decide_all


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few claims, small ones."""
    for id_ in list(CLAIMS):
        if id_ not in {"C01", "C02", "C41"}:
            monkeypatch.delitem(CLAIMS, id_)


@pytest.mark.usefixtures("few")
def test_without_an_id_they_are_a_table(uemu: Uemu) -> None:
    done = uemu("claims", "--jobs", "1")
    assert done.status == 0
    assert done.err == ""
    lines = done.out.splitlines()
    assert [line[:14].split() for line in lines if line.startswith("C")] == [
        ["C01", "confirmed"],
        ["C02", "confirmed"],
        ["C41", "refuted"],
    ]
    assert "holds: the parent stores to the page after fork;" in done.out
    assert "A. Arcangeli, 2009-03-11 18:37" in done.out
    assert re.fullmatch(r"2 confirmed, 1 refuted; \d+ orders in \d+\.\d s", lines[-1])


def test_one_is_told_with_its_sources_its_answers_and_its_race(uemu: Uemu) -> None:
    done = uemu("claims", "c04", "--jobs", "1")
    assert done.status == 0
    assert done.out.startswith("C04: marking PG_gup after the lookup races with fork\n")
    assert (
        "  L. Torvalds, 2009-03-11 19:01, document 003,\n"
        "  <alpine.LFD.2.00.0903111150120.32478@localhost.localdomain>\n"
    ) in done.out
    assert "\nconfirmed\n" in done.out
    assert "  + gup-fast-vs-fork under arcangeli-2009-v1:norecheck: lost-dma-write\n" in done.out
    assert "fails: the patch as it was posted, which looks at the entry again" in done.out
    assert "  - gup-fast-vs-fork under arcangeli-2009-v1: no lost-dma-write in its" in done.out
    assert "expected: confirmed; " in done.out
    assert "Race: gup-fast-vs-fork uemu1:" in done.out


def test_a_terminal_of_80_columns_is_wide_enough() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, highlight=False)
    for id_ in ("C01", "C04", "C45"):
        _show(console, decide_all([CLAIMS[id_]], 1)[0])
    replays = [line for line in file.getvalue().splitlines() if line.startswith("replay:  ")]
    wide = [line for line in file.getvalue().splitlines() if len(line) > 80]
    assert set(wide) <= set(replays)


def test_what_is_no_violation_is_explained(uemu: Uemu) -> None:
    done = uemu("claims", "C45", "c45", "--jobs", "1")
    assert done.out.count("C45: ") == 1
    assert "\nhalf-an-update: a child finds the first half of an update" in done.out


def test_its_race_can_be_replayed(uemu: Uemu) -> None:
    (command,) = re.findall(r"^replay:  uemu (.*)$", uemu("claims", "C01").out, re.MULTILINE)
    done = uemu(*command.split())
    assert done.status == 1
    assert "lost-dma-write" in done.out


def test_json_has_what_the_terminal_shows(uemu: Uemu, tmp_path: Path) -> None:
    path = tmp_path / "claims.json"
    assert uemu("claims", "C05", "C02", "--json", str(path)).status == 0
    result = json.loads(path.read_text())
    assert (result["uemu"], result["command"]) == (1, "claims")
    five, two = result["claims"]
    assert (five["id"], five["verdict"], two["id"]) == ("C05", "confirmed", "C02")
    assert five["exhaustive"]
    assert five["schedule"].startswith("uemu1:")
    assert five["policy"] == "arcangeli-2009-v1:norecheck"
    assert "fails: a TLB flush does not wait" in five["reading"]
    failed = [each for each in five["readings"] if not each["holds"]]
    assert failed[0]["evidence"][0]["replay"].startswith(
        "uemu replay gup-fast-vs-fork --policy arcangeli-2009-v1 --no-ipi-wait uemu1:"
    )


def test_status_is_1_if_a_verdict_is_not_the_expected_one(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CLAIMS, "C02", replace(CLAIMS["C02"], expected=REFUTED))
    done = uemu("claims", "C02")
    assert done.status == 1
    assert "C02 is confirmed, and refuted was expected" in done.out


@pytest.mark.parametrize(
    ("id_", "why"),
    [("C50", "unknown claim 'C50'; nearest: C"), ("X", "unknown claim 'X'; nearest: C01")],
)
def test_an_id_that_is_none_is_wrong_use(uemu: Uemu, id_: str, why: str) -> None:
    done = uemu("claims", id_)
    assert done.status == 2
    assert why in " ".join(done.err.split())


@pytest.mark.usefixtures("few")
def test_what_was_found_is_a_document(uemu: Uemu, tmp_path: Path) -> None:
    path = tmp_path / "findings.md"
    assert uemu("claims", "--jobs", "1", "--markdown", str(path)).status == 0
    text = path.read_text()
    assert text.startswith("# Findings\n")
    assert "### Confirmed: 2\n\n- [C01](#c01) fork, and then" in text
    assert "\n### C41\n\n> piggin's gup-fast races with fork\n" in text
