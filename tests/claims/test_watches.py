"""Each thing a watch names is seen where it happens, and not where it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from uemu.claims.watches import WATCHES
from uemu.claims.where import Where
from uemu.explore import explore
from uemu.oracle.violations import KINDS
from uemu.scenario.actions import Fork, Load, Store, SwapOut
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Script, Stage


def seen(scenario: str, policy: str, watch: str) -> set[str]:
    """What a watch names in some order."""
    found = explore(Where(scenario, policy, watch=watch))
    assert found.exhaustive
    return set(found.verdicts) & WATCHES[watch].names.keys()


def test_names_are_not_those_of_violations() -> None:
    names = [name for watch in WATCHES.values() for name in watch.names]
    assert len(set(names)) == len(names)
    assert not KINDS.keys() & set(names)


@pytest.mark.parametrize(
    ("scenario", "policy", "names"),
    [
        ("lost-read", "linux-2.6.29", {"both-left"}),
        ("lost-read-no-child-write", "linux-2.6.29", set()),  # the child stays
        ("child-corrupted", "linux-2.6.29", set()),  # nobody leaves
        ("lost-read", "arcangeli-2009-v1", {"both-left"}),  # where fork came before gup
        ("dontfork", "linux-2.6.29", set()),  # nothing is shared
    ],
)
def test_leavers(scenario: str, policy: str, names: set[str]) -> None:
    assert seen(scenario, policy, "leavers") == names


@pytest.mark.parametrize(
    ("scenario", "policy", "names"),
    [
        ("reverse-race", "linux-2.6.29", {"unsafe-reuse"}),  # the child, of what is written out
        ("reverse-race", "linux-5.9", set()),
        ("lost-read", "linux-2.6.29", {"unsafe-reuse"}),  # the child, of what is read into
        ("child-exits-first", "linux-2.6.29", set()),  # the holder itself
        ("lost-read-no-child-write", "linux-2.6.29", set()),
    ],
)
def test_reuses(scenario: str, policy: str, names: set[str]) -> None:
    assert seen(scenario, policy, "reuses") == names


def test_nuked() -> None:
    assert seen("secondary-mmu-reclaim", "linux-2.6.29", "nuked") == set()
    assert seen("lost-read", "linux-2.6.29", "nuked") == set()  # no I/O that ends is one
    where = Where("secondary-mmu-reclaim", "kosaki-2009-dont-unmap", watch="nuked")
    wanted = frozenset({"nuked-in-vain"})
    assert wanted <= set(explore(where, wanted=wanted, stop_at_first=True).verdicts)


def test_half_updates() -> None:
    assert seen("fork-mid-update", "linux-2.6.29", "half-updates") == {"half-an-update"}
    assert seen("child-corrupted", "linux-2.6.29", "half-updates") == set()


@pytest.mark.parametrize(
    ("scenario", "names"),
    [
        ("forkscrew", {"lost-unwarned"}),  # AIO: the thread that forks may be the only one
        ("lost-read-no-child-write", set()),  # another one is in its read(2)
        ("child-corrupted", set()),  # nothing is lost
    ],
)
def test_unwarned(scenario: str, names: set[str]) -> None:
    assert seen(scenario, "linux-2.6.29", "unwarned") == names


@pytest.mark.parametrize(
    ("scenario", "names"),
    [
        ("dontfork-collateral", {"missing-in-child"}),
        ("lost-read-no-child-write", set()),
    ],
)
def test_missing(scenario: str, names: set[str]) -> None:
    assert seen(scenario, "linux-2.6.29", "missing") == names


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        ("torvalds-2009-page-count:no-swapcache-fixed", {"lost-cached-before"}),
        ("torvalds-2009-page-count:no-swapcache", set()),  # nothing is ever cached
    ],
)
def test_cached(policy: str, names: set[str]) -> None:
    where = Where("swapcache-false-cow", policy, watch="cached")
    found = explore(where, wanted="lost-cached-before", max_schedules=500)
    assert set(found.verdicts) & WATCHES["cached"].names.keys() == names


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        # Under writeback a store finds the page in the cache; gup-fast, before it is unmapped.
        (
            "linux-2.6.29",
            {"made-writable-in-cache", "left-writable-in-cache", "taken-in-cache"},
        ),
        ("torvalds-2009-page-count:no-swapcache", set()),  # nothing is ever cached
    ],
)
def test_writable_cached(policy: str, names: set[str]) -> None:
    assert seen("swap-out-while-pinned", policy, "writable-cached") == names


def _swapped_and_forked(stage: Stage) -> Script:
    yield SwapOut(stage.buf)
    yield Fork("child")
    yield Load(stage.buf, 1)
    yield Store(stage.buf, b"P")


def _loads(stage: Stage) -> Script:
    yield Load(stage.buf, 1)


def test_mapcounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where fork shared a swap entry, the child may map the page while the parent copies it."""
    shared_swap = replace(
        SCENARIOS["swap-out-while-pinned"],
        name="shared-swap",
        threads={**SCENARIOS["swap-out-while-pinned"].threads, "cpu": _swapped_and_forked},
        children={"child": _loads},
    )
    monkeypatch.setitem(SCENARIOS, "shared-swap", shared_swap)
    where = Where("shared-swap", "linux-2.6.29", watch="mapcounts")
    assert "sole-count-moved" in explore(where, wanted="sole-count-moved").verdicts
    assert seen("lost-read", "linux-2.6.29", "mapcounts") == {"shared-count-moved"}
    assert seen("mprotect-fork", "linux-2.6.29", "mapcounts") == set()
