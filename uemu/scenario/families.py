"""Which scenarios belong together."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

FAMILIES: Final[dict[str, str]] = {
    "device writes": "lost-read lost-read-aligned lost-read-no-child-write"
    " child-corrupted two-readers-one-page forkscrew fork-then-direct-read",
    "device reads": "reverse-race ro-pin-then-fork both-pinned-for-read",
    "during fork": "gup-fast-vs-fork gup-fast-again-vs-fork fork-copy-tearing fork-mid-update",
    "processes": "child-exits-first refork grandchild exit-in-flight",
    "mappings": "munmap-in-flight mremap-in-flight mprotect-toggle-while-pinned"
    " mprotect-fork ro-vma-odirect-write",
    "long references": "ro-longterm-pin ro-pin-zero-page vmsplice-*",
    "remedies": "dontfork dofork-again wipeonfork dontfork-collateral vfork-exec posix-spawn"
    " map-shared",
    "reclaim, swap": "swap-out-while-pinned swapped-out-pinned-then-fork swapcache-false-cow"
    " reclaim-vs-gup-fast pin-vs-reclaim ro-pin-swapped-in clean-swapcache-dirty secondary-mmu-*",
    "other page work": "clear-refs-* ksm-* migration-*",
    "huge pages": "thp-* hugetlb-*",
    "at scale": "snapshot-writeout-cost big-vma-cost big-read-cost forkscrewreverse",
}
"""What scenarios have in common, and which: names, and patterns as a shell has them."""

OTHERS: Final = "others"


def by_family(scenarios: Iterable[str]) -> dict[str, list[str]]:
    """Names of scenarios by their families, these in the order of `FAMILIES`.

    Those of a family stay in the order they come in; what belongs to none is among
    `OTHERS`, the last.
    """
    found: dict[str, list[str]] = {}
    for scenario in scenarios:
        found.setdefault(_family_of(scenario), []).append(scenario)
    return {family: found[family] for family in (*FAMILIES, OTHERS) if family in found}


def _family_of(scenario: str) -> str:
    for family, patterns in FAMILIES.items():
        if any(fnmatchcase(scenario, pattern) for pattern in patterns.split()):
            return family
    return OTHERS
