"""COW that is broken toward the first owner (C06, C07, C36)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, REFUTED, Claim, reading
from uemu.claims.question import never, shows
from uemu.claims.source import piggin, torvalds

DIRECTED = "torvalds-2009-directed-cow"

LOST, SEEN, FOREIGN = "lost-dma-write", "dma-write-seen-by-other", "foreign-dma-read"
WRONG_FRAME = "lost-dma-write dma-write-seen-by-other foreign-dma-read stale-dma-read secret-leak"

CLAIMS = (
    Claim(
        "C06",
        "directed COW might solve everything",
        (torvalds("11 19:01", "alpine.LFD.2.00.0903111150120.32478@localhost.localdomain"),),
        (
            reading(
                "everything: whoever holds the page, and whatever becomes of its owner",
                never(WRONG_FRAME, "child-corrupted", DIRECTED),
                never(WRONG_FRAME, "both-pinned-for-read", DIRECTED),
                never(WRONG_FRAME, "exit-in-flight", DIRECTED),
                never(WRONG_FRAME, "lost-read-no-child-write", DIRECTED),
                never(WRONG_FRAME, "reverse-race", DIRECTED),
            ),
            reading(
                "what the first owner's own requests read and write",
                never(LOST, "lost-read-no-child-write", DIRECTED),
                never(LOST, "two-readers-one-page", DIRECTED),
                never(LOST, "child-exits-first", DIRECTED),
                never(FOREIGN, "reverse-race", DIRECTED),
                never(FOREIGN, "ro-pin-then-fork", DIRECTED),
            ),
        ),
        REFUTED,
        "who owns the frame is right as long as one owner holds it; a frame that two hold for"
        " reading has no right owner, and fork shares what a device is writing",
    ),
    Claim(
        "C07",
        "directed COW cannot: parent and child may both hold the page for reading",
        (piggin("14 05:20", "200903141620.45052.nickpiggin@yahoo.com.au"),),
        (
            reading(
                "each writes the shared page to a disk, and each stores",
                shows(FOREIGN, "both-pinned-for-read", DIRECTED),
            ),
        ),
        CONFIRMED,
        "the first owner keeps the frame, stores to it, and the child's device reads that",
    ),
    Claim(
        "C36",
        "if the owner unmaps or exits, the child still sees the DMA, directed COW or not",
        (torvalds("11 20:19", "alpine.LFD.2.00.0903111306080.32478@localhost.localdomain"),),
        (
            reading(
                "fork shared the page before",
                shows(SEEN, "munmap-in-flight", "linux-2.6.29"),
                shows(SEEN, "exit-in-flight", "linux-2.6.29"),
                shows(SEEN, "munmap-in-flight", DIRECTED),
                shows(SEEN, "exit-in-flight", DIRECTED),
            ),
        ),
        CONFIRMED,
        "nobody stores, so no rule about who gets the copy is asked",
    ),
)
