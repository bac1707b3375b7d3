"""Reclaim wants a page that a GRU uses.

As `secondary_mmu_reclaim`, with a secondary MMU that never holds what it translates:
the notifier is all that keeps its translation from outliving the page. And it has none
when the threads begin: its first fault may come at any time.

Rule: the same; where a reference would show that somebody is back, nothing shows.
Source: A. Arcangeli, quoted in document 004 ("KVM does. GRU doesn't."); Linux v2.6.29,
drivers/misc/sgi-gru/grutlbpurge.c.
"""

from __future__ import annotations

from dataclasses import replace

from uemu.scenario.script import Script, Stage
from uemu.scenario.secondary_mmu_reclaim import SCENARIO as WITH_PIN
from uemu.scenario.secondary_mmu_reclaim import attached


def unused(stage: Stage) -> Script:
    """Nobody has used the page through the GRU yet."""
    yield from attached(stage, "gru")


SCENARIO = replace(
    WITH_PIN,
    name="secondary-mmu-no-pin",
    summary="page of a GRU swapped out, GRU stores, parent stores, GRU loads; if the notifier runs"
    " while the page can still be found, the parent misses what the GRU stores",
    setup=unused,
)
