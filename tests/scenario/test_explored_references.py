"""References that only read, in every order: registered, in a pipe, and users' remedies.

As in ``test_explored.py``; here an order is the point where the canonical one
shows nothing, or where no order must show anything.
"""

from __future__ import annotations

import pytest

from uemu.explore import explore
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.world import SimulatedWorld

STALE = "stale-dma-read"
LEAK = "secret-leak"
LOST = {"lost-dma-write", "dma-write-seen-by-other"}


def shown(scenario: str, policy: str) -> set[str]:
    """What shows in some order."""
    found = explore(lambda: SimulatedWorld(SCENARIOS[scenario], policy))
    assert found.exhaustive
    return set(found.verdicts)


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        ("linux-2.6.29", {STALE}),
        ("arcangeli-2009-v1", {STALE}),
        ("arcangeli-2009-v2", set()),
        ("piggin-2009-page", set()),
        # Whoever comes second waits, or it does not matter that fork came first.
        ("torvalds-2009-mmap-sem", {STALE}),
        ("torvalds-2009-directed-cow", set()),
        ("kosaki-2009-pinned-sem", {STALE}),
        # Its gup breaks COW, so fork has to come second: then the parent's store copies.
        ("linux-5.8", {STALE}),
        ("linux-5.9", {STALE}),
        ("linux-5.11", {STALE}),
        ("linux-5.19", set()),
        ("linux-6.5", set()),
    ],
)
def test_ro_longterm_pin(policy: str, verdicts: set[str]) -> None:
    assert shown("ro-longterm-pin", policy) == verdicts


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        ("linux-2.6.29", {STALE}),
        ("piggin-2009-page", set()),
        ("linux-5.8", set()),
        ("linux-5.19", {STALE}),
        ("linux-6.5", set()),
    ],
)
def test_ro_pin_zero_page(policy: str, verdicts: set[str]) -> None:
    assert shown("ro-pin-zero-page", policy) == verdicts


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        ("linux-2.6.29", {LEAK}),
        ("redhat-2.6.18", {LEAK}),
        ("arcangeli-2009-v2", set()),
        ("arcangeli-2009-v2:norecheck", {LEAK}),
        ("torvalds-2009-directed-cow", {LEAK}),
        ("torvalds-2009-mmap-sem", {"deadlock"}),
        ("torvalds-2009-fork-lock", {LEAK}),
        ("piggin-2009-one-reader", set()),
        ("kosaki-2009-directio-sem", {LEAK}),
        ("kosaki-2009-pinned-sem", set()),
        ("linux-4.19", {LEAK}),
        ("linux-5.8", set()),
        ("linux-5.9", set()),
        ("linux-5.19", set()),
        ("linux-6.5", set()),
    ],
)
def test_vmsplice_child_leak(policy: str, verdicts: set[str]) -> None:
    assert shown("vmsplice-child-leak", policy) == verdicts


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        ("linux-2.6.29", {LEAK}),
        ("redhat-2.6.18", set()),
        ("arcangeli-2009-v1", set()),
        ("arcangeli-2009-v2", set()),
        ("torvalds-2009-directed-cow", set()),
        ("torvalds-2009-mmap-sem", set()),
        ("torvalds-2009-mmap-sem:direct-io-call", {LEAK}),
        ("torvalds-2009-fork-lock", set()),
        ("kosaki-2009-pinned-sem", {LEAK}),
        ("linux-5.8", {LEAK}),
        ("linux-5.9", set()),
        ("linux-6.5", set()),
    ],
)
def test_vmsplice_then_fork(policy: str, verdicts: set[str]) -> None:
    assert shown("vmsplice-then-fork", policy) == verdicts


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        ("linux-2.6.29", set()),
        ("torvalds-2009-mmap-sem", {"deadlock"}),
        ("torvalds-2009-fork-lock", {"deadlock"}),
        ("torvalds-2009-fork-lock:lookup", set()),
        ("kosaki-2009-pinned-sem", set()),
    ],
)
def test_vmsplice_self_drain(policy: str, verdicts: set[str]) -> None:
    assert shown("vmsplice-self-drain", policy) == verdicts


@pytest.mark.parametrize("policy", ["linux-4.19", "linux-5.9", "linux-5.19", "linux-6.5"])
def test_wipeonfork_is_safe_in_every_order(policy: str) -> None:
    assert shown("wipeonfork", policy) == set()


@pytest.mark.parametrize("policy", ["linux-2.6.29", "arcangeli-2009-v1", "linux-5.9", "linux-5.19"])
@pytest.mark.parametrize("scenario", ["dontfork-collateral", "vfork-exec", "posix-spawn"])
def test_so_are_the_other_remedies(scenario: str, policy: str) -> None:
    assert shown(scenario, policy) == set()


@pytest.mark.parametrize("policy", ["linux-2.6.29", "linux-6.5"])
def test_vfork_and_exec_are_safe_with_store_buffers(policy: str) -> None:
    found = explore(lambda: SimulatedWorld(SCENARIOS["vfork-exec"], policy, tso=True))
    assert found.exhaustive
    assert found.verdicts == {}


@pytest.mark.parametrize("policy", ["linux-4.19", "linux-5.9"])
def test_after_dofork_the_read_is_lost_as_before(policy: str) -> None:
    assert shown("dofork-again", policy) == LOST


@pytest.mark.parametrize(("policy", "shows"), [("arcangeli-2009-v2", True), ("linux-5.8", False)])
def test_who_waits_for_a_writable_entry_waits_for_ever(policy: str, shows: bool) -> None:
    found = explore(lambda: SimulatedWorld(SCENARIOS["ro-vma-odirect-write"], policy))
    assert ("livelock" in found.verdicts) is shows
