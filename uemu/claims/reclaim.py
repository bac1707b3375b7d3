"""Reclaim and the swap cache against pages that are held (C17 to C20, C26)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, REFUTED, Claim, reading
from uemu.claims.question import never, shows
from uemu.claims.source import Source, arcangeli, torvalds

LOST = "lost-dma-write"
CACHED = "lost-cached-before"

COUNTS = "torvalds-2009-page-count"
REFUSES = f"{COUNTS}:no-swapcache-fixed"
REFUSES_ALL = f"{COUNTS}:no-swapcache"
OLD = "linux-2.6.7"
LOOKS_TWICE = "kosaki-2009-dont-unmap"

BOUND = 1500
"""Orders of a scenario that has too many."""

_REFUSE = torvalds("17 18:09", "alpine.LFD.2.00.0903171048100.3082@localhost.localdomain")

CLAIMS = (
    Claim(
        "C17",
        "with page_count in do_wp_page swap-out, a read fault and a store lose part of an O_DIRECT"
        " read",
        (
            arcangeli("17 12:19", "20090317121900.GD20555@random.random"),
            torvalds("17 16:43", "alpine.LFD.2.00.0903170929180.3082@localhost.localdomain"),
        ),
        (
            reading(
                "with the rule",
                shows(LOST, "swap-out-while-pinned", COUNTS),
            ),
            reading(
                "without it, too",
                shows(LOST, "swap-out-while-pinned", "linux-2.6.29"),
            ),
        ),
        CONFIRMED,
        "the read fault maps the cached page read-only, and the store finds the device's reference;"
        " 2.6.29 asks for mappings and swap entries, takes the page out of the cache and reuses it",
    ),
    Claim(
        "C18",
        "refusing to add pinned pages to the swap cache repairs it",
        (_REFUSE,),
        (
            reading(
                "a page is refused whose count is more than its mappings and reclaim's own",
                never(LOST, "swap-out-while-pinned", REFUSES),
                never(LOST, "swapcache-false-cow", REFUSES, most=BOUND),
            ),
            reading(
                "as it is written: every page is refused, for page_mapped() is 1 at most",
                never(LOST, "swap-out-while-pinned", REFUSES_ALL),
                never(LOST, "swapcache-false-cow", REFUSES_ALL, most=BOUND),
            ),
        ),
        REFUTED,
        "the page may be cached before gup takes it, and gup-fast may come between the question and"
        " the unmapping; what is never cached is never lost, nor swapped out",
    ),
    Claim(
        "C19",
        "it does not: the page may be swap cache before gup runs",
        (arcangeli("17 18:46", "20090317184647.GC28447@random.random"),),
        (
            reading(
                "a page is lost that was cached when gup took it",
                shows(CACHED, "swapcache-false-cow", REFUSES, watch="cached"),
            ),
        ),
        CONFIRMED,
        "a page under writeback stays in the cache when a store maps it writable, so gup takes it,"
        " and nobody asks add_to_swap() again",
    ),
    Claim(
        "C20",
        "the 2.6.7 rule, never to unmap a page that is held, repairs it",
        (arcangeli("16 18:28", "20090316182814.GA20555@random.random"),),
        (
            reading(
                "as it was then, without gup-fast",
                never(LOST, "swap-out-while-pinned", OLD),
                never(LOST, "swapcache-false-cow", OLD, most=BOUND),
            ),
            reading(
                "with the gup-fast of 2.6.29",
                never(LOST, "reclaim-vs-gup-fast", f"{OLD}:gup-fast"),
            ),
        ),
        CONFIRMED,
        "who takes a page and who unmaps it hold the page table lock; gup-fast does not, and comes"
        " between the count and the unmapping",
    ),
    Claim(
        "C26",
        "the second check after the PTE is cleared is needed against gup-fast",
        (Source("KOSAKI M.", "2009-04-19 12:37", "20090419202328.FFBF.A69D9226@jp.fujitsu.com",
                "004"),),
        (
            reading(
                "one check loses a read, two do not",
                shows(LOST, "reclaim-vs-gup-fast", f"{LOOKS_TWICE}:one-check"),
                never(LOST, "reclaim-vs-gup-fast", LOOKS_TWICE),
            ),
        ),
        CONFIRMED,
        "gup-fast may take the page after the first look; once the entry is clear and flushed"
        " nobody can take it any more, and who did has raised the count",
    ),
)  # fmt: skip
