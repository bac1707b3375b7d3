"""What a run of a program gives, for reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from uemu.events import MmId
from uemu.oracle.violations import Violation


@dataclass(slots=True)
class Stats:
    """What a run covered.

    Attributes:
        forks: processes made with an address space of their own.
        transfers: direct I/O requests, and pages that were given to pipes.
        transfers_over_fork: those in flight while their process forked, whose pages
            were shared by an earlier fork, or which go through a registration that
            was there before it.
        transfers_written_after: those of them whose pages somebody wrote
            before they were over.
        cow_copies: pages copied by write faults.
        fork_copies: pages copied by fork.
        pages_framed: pages that became frames.
        faults: write faults on frames.
    """

    forks: int = 0
    transfers: int = 0
    transfers_over_fork: int = 0
    transfers_written_after: int = 0
    cow_copies: int = 0
    fork_copies: int = 0
    pages_framed: int = 0
    faults: int = 0


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a program ended under a policy, and what was violated.

    Attributes:
        status: its exit status, or None: a signal ended it.
        signal: that signal, or None.
        violations: in order; ``pid`` is set.
        suppressed: how many more there were that nobody wants to hear of, by name.
        stats: what the run covered.
        notes: what it did that uemu does not support, each said once.
        pids: address space to process id, for stories.
        tids: CPU name of an event to thread id, for stories.
    """

    status: int | None
    signal: int | None
    violations: list[Violation]
    stats: Stats
    notes: list[str] = field(default_factory=list)
    pids: Mapping[MmId, int] = field(default_factory=dict)
    tids: Mapping[str, int] = field(default_factory=dict)
    suppressed: Mapping[str, int] = field(default_factory=dict)
