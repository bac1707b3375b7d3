"""Copies that fork makes at once: whether they are of one moment, and how many (C11 to C13)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, REFUTED, Claim, reading
from uemu.claims.measure import NO_MEMORY, costs
from uemu.claims.question import never, shows
from uemu.claims.source import arcangeli, piggin

TORN = "torn-fork-copy"
SHARES = "linux-2.6.29"

VMA = "piggin-2009-vma"
LEAK = "refcount-leak"
"""A slip of that patch, which ends each run of it: decow_one_pte() keeps a reference."""

CLAIMS = (
    Claim(
        "C11",
        "VMA-wide decow can cost the whole VMA, even OOM",
        (arcangeli("12 18:06", "20090312180648.GV27823@random.random"),),
        (
            reading(
                "one page is held, and fork copies all, into as many frames again",
                costs("fork_copies", "=", 4, "big-vma-cost", VMA),
                costs("fork_copies", "=", 64, "big-vma-cost", VMA, pages=64),
                costs("peak_frames", "=", 64, "big-vma-cost", VMA, base=SHARES, pages=64),
                costs("fork_copies", "=", 1, "big-vma-cost", "arcangeli-2009-v1", pages=64),
            ),
            reading(
                "even OOM: fork fails where a copy of what is held would have had room",
                costs(NO_MEMORY, "=", 1, "big-vma-cost", VMA, pages=64, frames=96),
                costs(NO_MEMORY, "=", 0, "big-vma-cost", "arcangeli-2009-v1", pages=64, frames=96),
            ),
        ),
        CONFIRMED,
        "the area is marked, and fork copies every page in it; page by page it is the one that is"
        " held",
    ),
    Claim(
        "C12",
        "leaving the parent PTE writable while fork copies makes the copy non-atomic",
        (arcangeli("12 17:00", "20090312170010.GT27823@random.random"),),
        (
            reading(
                "a thread of the parent stores twice during the copy",
                shows(TORN, "fork-copy-tearing", VMA, past=LEAK),
                never(TORN, "fork-copy-tearing", "arcangeli-2009-v1"),
            ),
            reading(
                "write-protecting it, as then conceded, makes the copy atomic",
                never(TORN, "fork-copy-tearing", f"{VMA}:wrprotect", past=LEAK),
            ),
        ),
        CONFIRMED,
        "whoever may store stores; but a translation in a TLB may, too, until it is flushed, and"
        " that patch flushes when fork is over",
    ),
    Claim(
        "C13",
        "write-protecting the parent and letting do_wp_page reuse suffices for an atomic copy",
        (piggin("13 16:09", "200903140309.39777.nickpiggin@yahoo.com.au"),),
        (
            reading(
                "TLBs are flushed when fork is over, as in his patches",
                never(TORN, "fork-copy-tearing", "piggin-2009-page"),
            ),
            reading(
                "TLBs are flushed before the copy, as in Arcangeli's",
                never(TORN, "fork-copy-tearing", "arcangeli-2009-v1"),
                never(TORN, "fork-copy-tearing", "arcangeli-2009-v2"),
            ),
        ),
        REFUTED,
        "another CPU stores through the translation that it has while the frame is copied",
    ),
)
