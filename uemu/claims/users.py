"""What programs can do, and what they cannot expect (C23, C24, C45)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, Claim, reading
from uemu.claims.question import never, shows
from uemu.claims.source import arcangeli, herrenschmidt, piggin, torvalds

ANYTHING = (
    "lost-dma-write dma-write-seen-by-other foreign-dma-read stale-dma-read secret-leak"
    " torn-fork-copy lost-store"
)
HALF = "half-an-update"

UNWARNED = "lost-unwarned"

CLAIMS = (
    Claim(
        "C23",
        "vfork + exec has none of these problems; warning of fork in a threaded program that used"
        " gup would find those who do it",
        (torvalds("11 22:06", "alpine.LFD.2.00.0903111502350.32478@localhost.localdomain"),),
        (
            reading(
                "vfork and exec: nothing is shared that a store would have to copy",
                *(
                    never(ANYTHING, scenario, policy)
                    for scenario in ("vfork-exec", "posix-spawn")
                    for policy in ("linux-2.6.29", "linux-4.19", "linux-5.9", "linux-5.19")
                ),
            ),
            reading(
                "the warning: who loses a read in a system call of another thread is warned",
                never(UNWARNED, "lost-read-no-child-write", "linux-2.6.29", watch="unwarned"),
                never(UNWARNED, "two-readers-one-page", "linux-2.6.29", watch="unwarned"),
            ),
            reading(
                "the warning: so is everybody who loses a read",
                never(UNWARNED, "forkscrew", "linux-2.6.29", watch="unwarned"),
            ),
        ),
        CONFIRMED,
        "a vfork child runs in its parent's memory, so no entry is write-protected; but a program"
        " without threads that submits AIO and forks loses its read, too, and is not warned",
    ),
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
            reading(
                "the child needs what lies beside the buffer in its page",
                never("missing-in-child", "dontfork-collateral", "linux-2.6.29", watch="missing"),
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
