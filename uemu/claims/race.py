"""The race itself: what fork does to a read in flight, and to whom (C01 to C03, C25, C35)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, Claim, reading
from uemu.claims.question import never, shows
from uemu.claims.source import arcangeli, torvalds

BASELINE = "linux-2.6.29"

_SAID_FIRST = arcangeli("11 18:37", "20090311183748.GK27823@random.random")

CLAIMS = (
    Claim(
        "C01",
        "fork, and then a store of the parent to the same page, loses an O_DIRECT read; the"
        " child touches nothing",
        (_SAID_FIRST,),
        (
            reading(
                "the parent stores to the page after fork",
                shows("lost-dma-write", "lost-read-no-child-write", BASELINE),
            ),
            reading(
                "fork alone, and nobody stores",
                shows("lost-dma-write", "child-corrupted", BASELINE),
            ),
        ),
        CONFIRMED,
        "the child's PTE counts although it touches nothing: mapcount is 2, so do_wp_page moves"
        " the parent to a copy; without a store nobody moves (ground truth a1, a0 on 4.19)",
    ),
    Claim(
        "C02",
        "the child is corrupted too",
        (_SAID_FIRST,),
        (
            reading(
                "its private memory changes under it",
                shows("dma-write-seen-by-other", "child-corrupted", BASELINE),
            ),
        ),
        CONFIRMED,
        "fork shares the frame that the device writes, and the child goes on mapping it (ground"
        " truth a0 on 4.19)",
    ),
    Claim(
        "C03",
        "whoever writes first after fork gets the copy",
        (torvalds("11 18:46", "alpine.LFD.2.00.0903111143150.32478@localhost.localdomain"),),
        (
            reading(
                "nobody stays on a shared frame by writing to it first",
                never("first-writer-stayed", "lost-read", BASELINE, watch="leavers"),
            ),
            reading(
                "whoever writes second keeps the frame",
                never("both-left", "lost-read", BASELINE, watch="leavers"),
            ),
        ),
        CONFIRMED,
        "do_wp_page copies while mapcount is above 1, whoever asks; but two that ask at the same"
        " time both find 2, and then the frame is nobody's",
    ),
    Claim(
        "C25",
        "memalign(4096) is safe where memalign(512) is not",
        (_SAID_FIRST,),
        (
            reading(
                "the parent does not miss its read",
                shows("lost-dma-write", "lost-read-no-child-write", BASELINE),
                never("lost-dma-write", "lost-read-aligned", BASELINE),
            ),
            reading(
                "the child does not see it, either",
                never("dma-write-seen-by-other", "lost-read-aligned", BASELINE),
            ),
        ),
        CONFIRMED,
        "nobody stores to a page that is a buffer and nothing else, so it is not copied; but fork"
        " shares it while the device writes (ground truth a0)",
    ),
    Claim(
        "C35",
        "only fork has the race",
        (torvalds("16 16:32", "alpine.LFD.2.00.0903160927240.3675@localhost.localdomain"),),
        (
            reading(
                "as do_wp_page is: a page that was never shared has mapcount 1",
                shows("lost-dma-write", "lost-read-no-child-write", BASELINE),
                never("lost-dma-write", "mprotect-toggle-while-pinned", BASELINE),
                never("lost-dma-write", "swap-out-while-pinned", BASELINE),
                never("lost-dma-write", "migration-while-pinned", BASELINE),
            ),
            reading(
                "with page_count in do_wp_page, which he asks for the next day",
                never("lost-dma-write", "mprotect-toggle-while-pinned", "torvalds-2009-page-count"),
            ),
        ),
        CONFIRMED,
        "a write fault on a page that one process maps reuses it, whoever holds it; where"
        " references are asked for, mprotect and a store are enough",
    ),
)
