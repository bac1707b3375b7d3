"""What the bit does for pages that were swapped out (C49)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, Claim, reading
from uemu.claims.question import never, shows
from uemu.claims.source import GUNTHORPE

LOST = "lost-dma-write"
STALE = "stale-dma-read"

MODEL_1 = "hildenbrand-2021-model1"
WITHOUT = "linux-5.11"
"""The kernel of the time: no bit."""

WRITES, READS = "pin-vs-reclaim", "ro-pin-swapped-in"

CLAIMS = (
    Claim(
        "C49",
        "losing FOLL_PIN protection across swap is fixed by the bit alone, without a change to"
        " read gups",
        (GUNTHORPE,),
        (
            reading(
                "in his model 1, of a page that one process had when it was swapped out",
                shows(LOST, WRITES, WITHOUT),
                never(LOST, WRITES, MODEL_1),
                shows(STALE, READS, WITHOUT),
                never(STALE, READS, MODEL_1),
            ),
            reading(
                "of every page: one that fork shares, too, which no swap is needed for",
                never(STALE, "ro-longterm-pin", MODEL_1),
            ),
        ),
        CONFIRMED,
        "the swap entry keeps the bit, so a store reuses the page whoever holds it; a read gup of"
        " a page that is shared is none of swap's affairs, and he calls it broken",
    ),
)
