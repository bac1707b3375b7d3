"""``uemu explain``: what a policy, a violation or a scenario is, its source, its remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Uemu
from uemu.claims.registry import CLAIMS
from uemu.cli import explain as command
from uemu.cli.explanations import cells_of, what_is
from uemu.matrix.cells import How
from uemu.matrix.run import run_cell
from uemu.oracle.violations import KINDS
from uemu.policy.registry import POLICIES, all_names
from uemu.scenario.registry import SCENARIOS

ROOT = Path(__file__).resolve().parent.parent.parent


def parts_of(out: str) -> dict[str, str]:
    """What stands beside each name of a part, in one line."""
    parts: dict[str, str] = {}
    name = ""
    for line in out.splitlines():
        head, text = line[:14], line[14:]
        if head and not head.startswith(" ") and head.endswith(" "):
            name = head.strip()
        elif head.strip():
            name = ""
        if name:
            parts[name] = f"{parts.get(name, '')} {text}".strip()
    return parts


def test_a_policy_with_its_parts_its_file_what_it_violates_and_its_remedies(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    done = uemu("explain", "arcangeli-2009-v2")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("arcangeli-2009-v2 (2009): PG_gup, and a read gup breaks COW first")
    assert "\n\nPG_gup, second version (Arcangeli, 2009-03-16)" in done.out
    parts = parts_of(done.out)
    assert parts["Breaks"].startswith("a read gup in a VMA without VM_WRITE never returns")
    assert "<20090316135654.GA17949@random.random>" in parts["Source"]
    assert parts["Also as"].startswith("arcangeli-2009-v2:norecheck: gup-fast does not look")
    assert parts["File"] == "uemu/policy/arcangeli_2009_v2.py"
    assert "livelock: ro-vma-odirect-write" in parts["Violated"]
    assert "livelock: PROT_WRITE" in parts["Remedies"]
    assert "Race:" not in done.out


def test_the_drawing_is_shown_to_who_asks_for_it(uemu: Uemu) -> None:
    done = uemu("explain", "arcangeli-2009-v2", "--race")
    assert "\nRace: gup-fast-vs-fork uemu1:00011101111111100\n" in done.out
    assert done.out.startswith(uemu("explain", "arcangeli-2009-v2").out)


@pytest.mark.slow
def test_what_a_policy_violates_is_run_not_remembered(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(cell: object, how: How) -> object:
        return run_cell(type(cells_of("linux-6.5")[0])("linux-2.6.29", "lost-read"), how)

    assert "lost-dma-write: lost-read" not in uemu("explain", "linux-6.5").out
    monkeypatch.setattr("uemu.matrix.share.run_cell", broken)
    done = uemu("explain", "linux-6.5")
    assert "lost-dma-write, dma-write-seen-by-other: lost-read" in done.out


def test_a_variant_is_run_as_such(uemu: Uemu) -> None:
    plain, variant = (
        parts_of(uemu("explain", name).out)["Violated"]
        for name in ("arcangeli-2009-v2", "arcangeli-2009-v2:norecheck")
    )
    assert "foreign-dma-read" in variant
    assert "foreign-dma-read" not in plain


@pytest.mark.slow
def test_a_violation_with_its_meaning_who_its_remedies_and_where_it_is_shown(uemu: Uemu) -> None:
    done = uemu("explain", "stale-dma-read")
    assert (done.status, done.err) == (0, "")
    parts = parts_of(done.out)
    assert parts["Meaning"] == KINDS["stale-dma-read"] + "."
    assert parts["Who"].startswith("A process that registers memory for a device to read")
    assert "write first: store to every page" in parts["Remedies"]
    assert "(Linux kernel commit 84209e87c696 (in v6.2))" in parts["Remedies"]
    assert "ro-longterm-pin: " in parts["Shown in"]
    assert "linux-6.5" in parts["Nowhere under"]
    assert "linux-6.5" not in parts["Shown in"]


@pytest.mark.slow
def test_a_violation_that_shows_in_no_canonical_order_says_so(uemu: Uemu) -> None:
    parts = parts_of(uemu("explain", "torn-fork-copy").out)
    assert parts["Shown in"].startswith("no scenario, in its canonical order; in other orders")
    assert "Nowhere under" not in parts


@pytest.mark.slow
def test_a_scenario_with_who_violates_it_and_why(uemu: Uemu) -> None:
    done = uemu("explain", "gup-fast-vs-fork")
    assert "\n         - it's read-write\n" in done.out
    parts = parts_of(done.out)
    assert parts["Rule"] == "of gup-fast and fork, whoever comes second must see the other."
    assert parts["Turns"] == "io fork fork io"
    assert (
        "linux-5.9: lost-dma-write, dma-write-seen-by-other; told in order it is"
        in (parts["Violated"])
    )
    assert "linux-6.5" in parts["Sound"]
    assert "linux-2.6.29" in parts_of(uemu("explain", "wipeonfork").out)["Cannot be"]


def test_json_of_a_policy(uemu: Uemu) -> None:
    result = json.loads(uemu("explain", "arcangeli-2009-v2", "--json").out)
    assert set(result) == {
        *("uemu", "command", "what", "name", "year", "summary", "variants", "about", "parts"),
        *("drawing", "file", "shown", "remedies"),
    }
    assert (result["what"], result["name"]) == ("policy", "arcangeli-2009-v2")
    assert set(result["parts"]) >= {"holds", "breaks", "costs", "source", "not_modelled"}
    assert result["drawing"].startswith("Race: gup-fast-vs-fork")
    shown = {each["scenario"]: each for each in result["shown"]}
    assert list(shown) == list(SCENARIOS)
    assert shown["ro-vma-odirect-write"]["verdicts"] == ["livelock"]
    assert result["remedies"]["livelock"][0]["name"] == "PROT_WRITE"


def test_a_scenario_with_what_it_costs(uemu: Uemu) -> None:
    lines = uemu("explain", "lost-read").out.splitlines()
    (costs,) = (at for at, line in enumerate(lines) if line.startswith("Costs "))
    told = {line.split()[0]: line.split()[1:] for line in lines[costs + 1 :]}
    assert list(told) == list(POLICIES)
    assert told["linux-6.5"][:4] == ["1", "0", "2", "0"]


@pytest.mark.slow
def test_a_scale_scenario_with_what_a_page_costs(uemu: Uemu) -> None:
    lines = uemu("explain", "snapshot-writeout-cost").out.splitlines()
    (by_page,) = (at for at, line in enumerate(lines) if line.startswith("By the page "))
    told = {line.split()[0]: line.split()[1:] for line in lines[by_page + 1 :]}
    assert told["linux-5.8"][:2] == ["0", "1"]
    assert told["linux-2.6.29"][:2] == ["0", "0"]


@pytest.mark.slow
def test_json_of_a_violation_and_of_a_scenario(uemu: Uemu) -> None:
    result = json.loads(uemu("explain", "lost-dma-write", "--json").out)
    assert result["remedies"][0]["name"] == "MADV_DONTFORK"
    assert result["remedies"][0]["scenario"] == "dontfork"
    shown = {each["scenario"]: each["policies"] for each in result["shown"]}
    assert "linux-2.6.29" in shown["lost-read"]
    result = json.loads(uemu("explain", "lost-read", "--json").out)
    assert [each["policy"] for each in result["shown"]] == list(POLICIES)
    assert result["order"] == "io fork cpu child io"


def test_a_claim_with_who_said_it_and_the_command_that_decides_it(uemu: Uemu) -> None:
    done = uemu("explain", "C05")
    parts = parts_of(done.out)
    assert parts["Source"].startswith("A. Arcangeli, 2009-03-11 19:59, document 003, <")
    assert parts["Expected"].startswith(CLAIMS["C05"].expected)
    assert parts["Decided by"] == "uemu claims C05"
    assert json.loads(uemu("explain", "C05", "--json").out)["decided_by"] == "uemu claims C05"


def test_everything_that_has_a_name_can_be_explained(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_cells", lambda name: [])
    for name in (*all_names(), *KINDS, *SCENARIOS, *CLAIMS):
        done = uemu("explain", name)
        assert done.status == 0
        assert done.out.startswith(name)
    assert what_is("linux-6.5") == "policy"


def test_a_claim_is_known_in_small_letters_too(uemu: Uemu) -> None:
    assert uemu("explain", "c04") == uemu("explain", "C04")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (
            "lost-dma",
            "no policy, violation, scenario or claim is called 'lost-dma'; nearest: lost-dma-w",
        ),
        ("linux-6.6", "nearest: linux-6.5"),
        ("gup-fast", "nearest: gup-fast-vs-fork"),
        ("linux-6.5:x", "nearest: linux-6.5"),
        ("?", "nearest: see uemu policies, uemu scenarios, uemu claims"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(uemu: Uemu, name: str, error: str) -> None:
    done = uemu("explain", name)
    assert (done.status, done.out) == (2, "")
    assert error in " ".join(done.err.split())
