"""When reclaim tells secondary MMUs (C47)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, Claim, reading
from uemu.claims.question import never, shows
from uemu.claims.source import QUOTED

NUKED = "nuked-in-vain"
"""A translation is gone, and the page stays where it was."""
KEPT = "pinned-page-freed"
"""A translation stays, and the page is gone."""

THEN = "linux-2.6.29"
FIRST = "kosaki-2009-dont-unmap"
YOUNG_FIRST = f"{FIRST}:young-first"

PINNING, NOT_PINNING = "secondary-mmu-reclaim", "secondary-mmu-no-pin"

CLAIMS = (
    Claim(
        "C47",
        "the notifier must run after the young check",
        (QUOTED,),
        (
            reading(
                "so that no translation is nuked unless the entry is, as in 2.6.29",
                shows(NUKED, NOT_PINNING, FIRST, watch="nuked"),
                shows(NUKED, PINNING, FIRST, watch="nuked"),
                never(NUKED, NOT_PINNING, THEN, watch="nuked"),
                never(NUKED, PINNING, THEN, watch="nuked"),
            ),
            reading(
                "and after it is enough, wherever it is before the entry is cleared",
                never(NUKED, NOT_PINNING, YOUNG_FIRST, watch="nuked"),
            ),
            reading(
                "who takes a pin is safe without that",
                never(KEPT, PINNING, FIRST),
            ),
            reading(
                "who takes none is safe with it",
                never(KEPT, NOT_PINNING, YOUNG_FIRST),
            ),
        ),
        CONFIRMED,
        "before it the guest that is back keeps the page and has lost its translation; but it has"
        " to run after the entry is cleared, too: who comes back in between is pinned and seen,"
        " or not pinned and keeps a page that is freed",
    ),
)
