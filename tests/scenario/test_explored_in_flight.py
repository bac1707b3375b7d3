"""A request in flight while its process forks, maps and unmaps, in every order.

As in ``test_explored.py``: a row is what shows in some order, and no more
shows in any. A store that nobody forces may come after the device, so that
who protects the owner alone still lets the child see what is written.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from uemu.explore import Exploration, explore
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld

LOST = "lost-dma-write"
SEEN = "dma-write-seen-by-other"
FOREIGN = "foreign-dma-read"
TORN = "torn-fork-copy"


def explored(scenario: str, policy: str) -> Exploration:
    """Explore all orders of a scenario under a policy."""
    found = explore(lambda: SimulatedWorld(SCENARIOS[scenario], policy))
    assert found.exhaustive
    return found


@pytest.mark.parametrize(
    ("scenario", "policy", "verdicts"),
    [
        # memalign(4096): no order loses the read; the child may see it (Arcangeli 03-11 18:37).
        ("lost-read-aligned", "linux-2.6.29", {SEEN}),
        ("lost-read-aligned", "redhat-2.6.18", set()),
        ("lost-read-aligned", "arcangeli-2009-v2", set()),
        ("lost-read-aligned", "arcangeli-2009-v2:norecheck", {SEEN}),
        ("lost-read-aligned", "torvalds-2009-directed-cow", {SEEN}),
        # If fork comes first, gup's own fault is in the range that its request has registered.
        ("lost-read-aligned", "kamezawa-2009-dio-lock", {SEEN, "deadlock"}),
        ("lost-read-aligned", "linux-5.9", {SEEN}),
        ("lost-read-aligned", "linux-5.19", {SEEN}),
        # gup is the writer; who is preempted where decides nothing.
        ("forkscrew", "linux-2.6.29", {LOST, SEEN}),
        ("forkscrew", "redhat-2.6.18", set()),
        ("forkscrew", "arcangeli-2009-v2", set()),
        ("forkscrew", "piggin-2009-page", set()),
        # The lock is given back when io_submit() returns (03-16 18:37, 03-17 00:56).
        ("forkscrew", "torvalds-2009-mmap-sem:direct-io-call", {LOST, SEEN}),
        ("forkscrew", "torvalds-2009-mmap-sem", set()),
        ("forkscrew", "torvalds-2009-page-count", {LOST, SEEN}),
        ("forkscrew", "kosaki-2009-directio-sem", {LOST, SEEN}),
        ("forkscrew", "kosaki-2009-pinned-sem", set()),
        ("forkscrew", "linux-5.19", {LOST, SEEN}),
        ("forkscrew", "linux-6.5", set()),
        # A second fork looks as closely as the first.
        ("refork", "linux-2.6.29", {LOST, SEEN}),
        ("refork", "redhat-2.6.18", set()),
        ("refork", "arcangeli-2009-v2", set()),
        ("refork", "piggin-2009-page", set()),
        ("refork", "torvalds-2009-directed-cow", {SEEN}),
        ("refork", "linux-5.9", {LOST, SEEN}),
        ("refork", "hildenbrand-2021-model1", set()),
        ("refork", "linux-6.5", set()),
        ("grandchild", "linux-2.6.29", {LOST, SEEN}),
        ("grandchild", "arcangeli-2009-v2", set()),
        ("grandchild", "linux-5.19", {LOST, SEEN}),
        ("grandchild", "linux-6.5", set()),
        # A fork that is over leaves nothing to race with: gup breaks COW, in every order.
        ("fork-then-direct-read", "linux-2.6.29", set()),
        ("fork-then-direct-read", "arcangeli-2009-v2:norecheck", set()),
        ("fork-then-direct-read", "piggin-2009-page", set()),
        # Nobody spins while the child leaves the page: the owner's fault waits for it.
        ("fork-then-direct-read", "torvalds-2009-directed-cow", set()),
        ("fork-then-direct-read", "linux-5.8", set()),
        ("fork-then-direct-read", "linux-5.19", set()),
    ],
)
def test_forks_around_a_read(scenario: str, policy: str, verdicts: set[str]) -> None:
    assert set(explored(scenario, policy).verdicts) == verdicts


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        ("linux-2.6.29", {FOREIGN}),
        ("arcangeli-2009-v1", {FOREIGN}),
        ("arcangeli-2009-v2", set()),
        ("piggin-2009-page", set()),
        ("torvalds-2009-mmap-sem", {FOREIGN}),
        ("torvalds-2009-directed-cow", {FOREIGN}),
        ("piggin-2009-one-reader", set()),
        ("kosaki-2009-directio-sem", {FOREIGN}),
        ("kosaki-2009-pinned-sem", set()),
        ("kosaki-2009-dont-unmap", set()),
        ("linux-5.8", set()),
        ("linux-5.9", set()),
        ("hildenbrand-2021-model2", set()),
        ("linux-5.19", set()),
        ("linux-6.5", set()),
    ],
)
def test_both_pinned_for_read(policy: str, verdicts: set[str]) -> None:
    """Piggin 03-14 05:20: no direction of COW is right for both."""
    assert set(explored("both-pinned-for-read", policy).verdicts) == verdicts


@pytest.mark.parametrize(
    ("policy", "victims"),
    [("torvalds-2009-directed-cow", {"child"}), ("linux-2.6.29", {"child", "parent"})],
)
def test_whose_device_receives_what_the_other_stored(policy: str, victims: set[str]) -> None:
    """Directed COW always leaves the frame to the parent; otherwise the second store has it."""
    scenario = SCENARIOS["both-pinned-for-read"]
    messages = {"parent": "that child stored, through the buffer of parent",
                "child": "that parent stored, through the buffer of child"}  # fmt: skip
    seen: set[str] = set()
    for order in ("fork io child fork child io child-io", "fork io child child fork io child-io"):
        told = simulate(replace(scenario, order=order), policy)
        (violation,) = told.violations
        seen |= {who for who, message in messages.items() if message in violation.message}
    assert seen == victims


@pytest.mark.parametrize(
    ("scenario", "policy", "verdicts"),
    [
        # No fork: whoever counts references copies a page that nobody shares.
        ("mprotect-toggle-while-pinned", "linux-2.6.29", set()),
        ("mprotect-toggle-while-pinned", "torvalds-2009-page-count", {LOST}),
        ("mprotect-toggle-while-pinned", "kosaki-2009-dont-unmap", {LOST}),
        ("mprotect-toggle-while-pinned", "linux-5.9", {LOST}),
        ("mprotect-toggle-while-pinned", "linux-5.11", {LOST}),
        ("mprotect-toggle-while-pinned", "linux-5.19", set()),
        # fork meets an entry that is read-only: examined by mark or by page, not if by entry.
        ("mprotect-fork", "linux-2.6.29", {LOST, SEEN}),
        ("mprotect-fork", "redhat-2.6.18", {LOST, SEEN}),
        ("mprotect-fork", "arcangeli-2009-v1", {LOST, SEEN}),
        ("mprotect-fork", "arcangeli-2009-v2", {LOST, SEEN}),
        ("mprotect-fork", "piggin-2009-page", set()),
        ("mprotect-fork", "torvalds-2009-directed-cow", {SEEN}),
        ("mprotect-fork", "linux-5.19", {LOST, SEEN}),
        ("mprotect-fork", "linux-6.5", set()),
        # The frame is never freed under the device; the child sees it unless fork copied.
        ("munmap-in-flight", "linux-2.6.29", {SEEN}),
        ("munmap-in-flight", "arcangeli-2009-v2", set()),
        ("munmap-in-flight", "piggin-2009-page", set()),
        ("munmap-in-flight", "torvalds-2009-directed-cow", {SEEN}),
        ("munmap-in-flight", "linux-5.19", {SEEN}),
        ("munmap-in-flight", "linux-6.5", set()),
        # The owner exits: whoever keeps fork waiting for a registration waits for ever.
        ("exit-in-flight", "torvalds-2009-mmap-sem", {"deadlock"}),
        ("exit-in-flight", "torvalds-2009-mmap-sem:direct-io-call", {SEEN}),
        ("exit-in-flight", "torvalds-2009-fork-lock", {"deadlock"}),
        ("exit-in-flight", "torvalds-2009-fork-lock:lookup", set()),
        ("exit-in-flight", "torvalds-2009-directed-cow", {SEEN}),
        ("exit-in-flight", "arcangeli-2009-v2", set()),
        ("mremap-in-flight", "linux-2.6.29", {LOST, SEEN}),
        ("mremap-in-flight", "arcangeli-2009-v2", set()),
        ("mremap-in-flight", "piggin-2009-page", set()),
        ("mremap-in-flight", "torvalds-2009-directed-cow", {SEEN}),
        ("mremap-in-flight", "linux-5.9", {LOST, SEEN}),
        ("mremap-in-flight", "linux-6.5", set()),
    ],
)
def test_a_buffer_that_is_protected_taken_away_or_moved(
    scenario: str, policy: str, verdicts: set[str]
) -> None:
    assert set(explored(scenario, policy).verdicts) == verdicts


# fork's copy ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        ("linux-2.6.29", set()),
        ("redhat-2.6.18", set()),
        ("arcangeli-2009-v1", set()),
        ("arcangeli-2009-v2", set()),
        ("piggin-2009-page", {TORN}),  # write-protected, but not flushed
        ("linux-5.8", set()),
        ("linux-5.9", {TORN}),
        ("linux-5.11", {TORN}),
        ("hildenbrand-2021-model1", {TORN}),
        ("hildenbrand-2021-model2", {TORN}),
        ("linux-5.19", {TORN}),
        ("linux-6.5", {TORN}),
    ],
)
def test_a_held_page_is_copied_while_its_owner_stores(policy: str, verdicts: set[str]) -> None:
    """2.6.29 copies nothing; 2009 write-protects and flushes first; since 5.9 nobody does."""
    assert set(explored("fork-copy-tearing", policy).verdicts) == verdicts


# hugetlb -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "policy", "verdicts"),
    [
        # page_count leaves both to the device, the mapcount gives its frames to the child.
        ("hugetlb-lost-read", "linux-2.6.29", {LOST, SEEN}),
        ("hugetlb-lost-read", "linux-4.19", {LOST, SEEN}),
        ("hugetlb-lost-read", "linux-5.19", {LOST, SEEN}),
        ("hugetlb-lost-read", "linux-6.5", set()),
        ("hugetlb-lost-read", "arcangeli-2009-v1", set()),
        ("hugetlb-lost-read", "arcangeli-2009-v2", set()),
        ("hugetlb-lost-read", "arcangeli-2009-v2:norecheck", {LOST, SEEN}),
        ("hugetlb-lost-read", "torvalds-2009-fork-lock:lookup", set()),
        ("hugetlb-reverse-race", "linux-2.6.29", set()),
        ("hugetlb-reverse-race", "linux-4.19", {FOREIGN}),
        ("hugetlb-reverse-race", "linux-5.8", set()),
        ("hugetlb-reverse-race", "linux-5.9", {FOREIGN}),
        ("hugetlb-reverse-race", "linux-5.19", {FOREIGN}),
        ("hugetlb-reverse-race", "linux-6.5", set()),
        ("hugetlb-reverse-race", "arcangeli-2009-v2", set()),
        ("hugetlb-child-exits-first", "linux-2.6.29", {LOST, SEEN}),
        ("hugetlb-child-exits-first", "linux-4.19", {SEEN}),
        ("hugetlb-child-exits-first", "linux-5.9", {SEEN}),
        ("hugetlb-child-exits-first", "linux-5.19", {SEEN}),
        ("hugetlb-child-exits-first", "linux-6.5", set()),
        ("hugetlb-child-exits-first", "arcangeli-2009-v2", set()),
        # CVE-2020-29374 on hugetlb: closed by v5.8's way alone, and by page_count.
        ("hugetlb-vmsplice-child-leak", "linux-2.6.29", set()),
        ("hugetlb-vmsplice-child-leak", "linux-5.8", set()),
        ("hugetlb-vmsplice-child-leak", "linux-5.9", {"secret-leak"}),
        ("hugetlb-vmsplice-child-leak", "linux-6.5", {"secret-leak"}),
        # Since v5.12 fork copies what is pinned and leaves the parent's entry alone.
        ("hugetlb-tearing", "linux-5.11", set()),
        ("hugetlb-tearing", "linux-5.19", {TORN}),
        ("hugetlb-tearing", "linux-6.5", {TORN}),
        ("hugetlb-tearing", "arcangeli-2009-v1", set()),
        ("hugetlb-tearing", "arcangeli-2009-v2", set()),
    ],
)
def test_pages_of_hugetlb(scenario: str, policy: str, verdicts: set[str]) -> None:
    assert set(explored(scenario, policy).verdicts) == verdicts


@pytest.mark.parametrize(
    ("scenario", "policy"),
    [
        ("fork-copy-tearing", "redhat-2.6.18"),
        ("fork-copy-tearing", "arcangeli-2009-v2"),
        ("hugetlb-tearing", "arcangeli-2009-v2"),
    ],
)
def test_what_flushes_before_it_copies_tears_without(scenario: str, policy: str) -> None:
    def made() -> SimulatedWorld:
        made = SimulatedWorld(SCENARIOS[scenario], policy)
        made.kernel.mech.flush_tlb_range = lambda *_: iter(())  # type: ignore[assignment, method-assign]
        return made

    assert TORN in explore(made).verdicts
