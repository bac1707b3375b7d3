"""Who looks for pins while gup-fast takes them: reclaim and clear_refs (C27 to C29, C48)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, REFUTED, Claim, reading
from uemu.claims.question import never, shows
from uemu.claims.source import HUBBARD, KARA, TORVALDS_2021, XU

LOST = "lost-dma-write"
FAST = "lost-fast-pin"

THEN = "linux-5.11"
LOCKED = "hubbard-2021-locked-pages:fixed"
RMAP = "kara-2021-unmap-if-not-pinned"
SEQ = "linux-5.11:clear-refs-seq"

CLAIMS = (
    Claim(
        "C27",
        "giving up on locked pages after pinning keeps gup-fast out of shrink_page_list",
        (TORVALDS_2021, HUBBARD),
        (
            reading(
                "reclaim looks for pins, and gup-fast for the page lock once it has pinned",
                never(FAST, "pin-vs-reclaim", LOCKED, watch="fast-pins"),
            ),
        ),
        REFUTED,
        "reclaim may have looked for pins before there was one, and be through, the page unlocked"
        " again, when gup-fast looks at the lock",
    ),
    Claim(
        "C28",
        "it does not; checking inside the rmap walk under the seqcount closes the race",
        (KARA,),
        (
            reading(
                "a pin by gup-fast while reclaim looks",
                shows(FAST, "pin-vs-reclaim", LOCKED, watch="fast-pins"),
                never(LOST, "pin-vs-reclaim", RMAP),
            ),
        ),
        CONFIRMED,
        "while the counter is odd nobody pins fast, and when it is even again the page is unmapped",
    ),
    Claim(
        "C29",
        "clear_soft_dirty can take the seqcount and is then safe",
        (TORVALDS_2021,),
        (
            reading(
                "a pin by gup-fast while clear_refs looks",
                shows(LOST, "clear-refs-vs-gup-fast", THEN),
                never(LOST, "clear-refs-vs-gup-fast", SEQ),
            ),
        ),
        CONFIRMED,
        "clear_refs looks for pins and write-protects afterwards; with the counter odd a gup-fast"
        " in between gives its pin back",
    ),
    Claim(
        "C48",
        "pte_is_pinned and shrink_page_list lack the seqcount that page_needs_cow_for_dma has",
        (XU,),
        (
            reading(
                "a pin that they do not see, taken by gup-fast, is lost",
                shows(LOST, "clear-refs-vs-gup-fast", THEN),
                shows(LOST, "pin-vs-reclaim", THEN),
            ),
        ),
        CONFIRMED,
        "both look at the count without keeping gup-fast out",
    ),
)
