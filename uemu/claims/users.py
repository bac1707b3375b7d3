"""What programs can do, and what they cannot expect (C24, C45)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, Claim, reading
from uemu.claims.question import never, shows
from uemu.claims.source import arcangeli, herrenschmidt, piggin

ANYTHING = (
    "lost-dma-write dma-write-seen-by-other foreign-dma-read stale-dma-read secret-leak"
    " torn-fork-copy lost-store"
)
HALF = "half-an-update"

CLAIMS = (
    Claim(
        "C24",
        "MADV_DONTFORK avoids it, when the application knows",
        (
            piggin("12 05:36", "200903121636.18867.nickpiggin@yahoo.com.au"),
            herrenschmidt("14 05:06", "1237007189.25062.91.camel@pasglop"),
        ),
        (
            reading(
                "the advice is given for the buffer's pages",
                never(ANYTHING, "dontfork", "linux-2.6.29"),
                never(ANYTHING, "dontfork", "linux-4.19"),
                never(ANYTHING, "dontfork", "linux-5.19"),
            ),
            reading(
                "a library uses gup, and the application does not know",
                never(ANYTHING, "lost-read", "linux-2.6.29"),
            ),
        ),
        CONFIRMED,
        "fork leaves the area alone, so no entry is write-protected and no store breaks COW"
        " (ground truth e1); without the advice it is the lost read",
    ),
    Claim(
        "C45",
        "fork can catch a list in memory mid-update, with or without the patch",
        (arcangeli("16 13:56", "20090316135654.GA17949@random.random"),),
        (
            reading(
                "fork comes between two stores",
                shows(HALF, "fork-mid-update", "linux-2.6.29", watch="half-updates"),
                shows(HALF, "fork-mid-update", "arcangeli-2009-v2", watch="half-updates"),
            ),
        ),
        CONFIRMED,
        "fork copies a state that the page had; nothing says that it is one between two updates",
    ),
)
