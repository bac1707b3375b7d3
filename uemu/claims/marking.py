"""Marks on pages under gup: PG_gup and PG_dontcow against fork (C04, C05, C10, C41)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, REFUTED, Claim, reading
from uemu.claims.question import never, shows
from uemu.claims.source import arcangeli, piggin, torvalds

LOST = "lost-dma-write"
FOREIGN = "foreign-dma-read"
MISSED = "lost-dma-write dma-write-seen-by-other"
"""Of a read: what shows that fork and gup-fast missed each other."""
BOTH_SIDES = "lost-dma-write dma-write-seen-by-other foreign-dma-read"

V1 = "arcangeli-2009-v1"
PIGGIN = "piggin-2009-page"

CLAIMS = (
    Claim(
        "C04",
        "marking PG_gup after the lookup races with fork",
        (torvalds("11 19:01", "alpine.LFD.2.00.0903111150120.32478@localhost.localdomain"),),
        (
            reading(
                "the mark is all there is",
                shows(LOST, "gup-fast-vs-fork", f"{V1}:norecheck"),
            ),
            reading(
                "the patch as it was posted, which looks at the entry again",
                shows(LOST, "gup-fast-vs-fork", V1),
            ),
        ),
        CONFIRMED,
        "gup-fast takes no lock: fork may test PG_gup after the lookup and before the mark; he"
        " had overlooked the second look (20:19)",
    ),
    Claim(
        "C05",
        "re-reading the PTE after SetPageGUP closes it",
        (arcangeli("11 19:59", "20090311195935.GO27823@random.random"),),
        (
            reading(
                "a TLB flush waits for a running gup-fast, as on x86",
                shows(LOST, "gup-fast-vs-fork", f"{V1}:norecheck"),
                never(MISSED, "gup-fast-vs-fork", V1),
                never(MISSED, "gup-fast-vs-fork", V1, memory_model="tso"),
                never(MISSED, "gup-fast-again-vs-fork", V1),
            ),
            reading(
                "the same without the smp_mb() of either side",
                never(MISSED, "gup-fast-vs-fork", f"{V1}:nomb", memory_model="tso"),
                never(MISSED, "gup-fast-again-vs-fork", f"{V1}:nomb", memory_model="tso"),
            ),
            reading(
                "a TLB flush does not wait",
                never(MISSED, "gup-fast-vs-fork", V1, ipi_wait=False),
            ),
        ),
        CONFIRMED,
        "fork write-protects before it tests the mark, so one of the two sees the other; what is"
        " compared is flags, not frames, and only the flush that waits keeps the entry from being"
        " writable again, with another frame",
    ),
    Claim(
        "C10",
        "arcangeli v1 leaves the reverse race open; piggin closes both sides",
        (piggin("14 04:59", "200903141559.12484.nickpiggin@yahoo.com.au"),),
        (
            reading(
                "the sides: a device writes what fork shares, a device reads what a child wrote",
                shows(FOREIGN, "reverse-race", V1),
                never(BOTH_SIDES, "reverse-race", PIGGIN),
                never(BOTH_SIDES, "ro-pin-then-fork", PIGGIN),
                never(BOTH_SIDES, "lost-read", PIGGIN),
                never(BOTH_SIDES, "two-readers-one-page", PIGGIN),
            ),
        ),
        CONFIRMED,
        "v1 marks whatever a read gup finds, shared pages too; piggin's gup breaks COW first, for"
        " a read as well",
    ),
    Claim(
        "C41",
        "piggin's gup-fast races with fork",
        (
            arcangeli("13 19:34", "20090313193416.GG27823@random.random"),
            piggin("16 16:01", "200903170301.43091.nickpiggin@yahoo.com.au"),
        ),
        (
            reading(
                "gup-fast and fork miss each other",
                shows(MISSED, "gup-fast-again-vs-fork", PIGGIN),
            ),
            reading(
                "gup-fast and fork miss each other where a TLB flush does not wait",
                shows(MISSED, "gup-fast-again-vs-fork", PIGGIN, ipi_wait=False),
            ),
            reading(
                "gup-fast and fork miss each other on a page that has no mark yet",
                shows(MISSED, "gup-fast-vs-fork", PIGGIN),
            ),
        ),
        REFUTED,
        "the flag is sticky: a page that gup-fast holds is marked before fork looks, and one"
        " without a mark is taken under mmap_sem (Piggin's answer)",
    ),
)
