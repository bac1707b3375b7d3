"""Reclaim and the swap cache against pages that are held (C17 to C20, C26, C37, C38)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, REFUTED, Claim, reading
from uemu.claims.question import never, shows
from uemu.claims.source import Source, arcangeli, torvalds

BASE = "linux-2.6.29"

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
                shows(LOST, "swap-out-while-pinned", BASE),
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
    Claim(
        "C37",
        "swap-out and swap-in can drop a device's write as clean",
        (
            torvalds("17 17:01", "alpine.LFD.2.00.0903170950410.3082@localhost.localdomain"),
            arcangeli("17 17:10", "20090317171049.GA28447@random.random"),
        ),
        (
            reading(
                "gup-fast takes what reclaim has written out, for no TLB flush waits for it",
                shows("dirty-lost", "swap-out-while-pinned", BASE, ipi_wait=False),
                shows("dirty-lost", "reclaim-vs-gup-fast", BASE, ipi_wait=False),
            ),
            reading(
                "the page is in the swap cache, a TLB flush waits, and reclaim comes twice",
                shows("dirty-lost", "clean-swapcache-dirty", BASE),
            ),
        ),
        REFUTED,
        "the end of the read sets the page dirty (Arcangeli's answer), so it is written once more;"
        " where a flush waits it is dirty anyway, since add_to_swap(): what is held is not written",
    ),
    Claim(
        "C38",
        "a page that is writable in the page tables is not in the swap cache, but for two"
        " exceptions",
        (torvalds("17 19:55", "alpine.LFD.2.00.0903171242080.3082@localhost.localdomain"),),
        (
            reading(
                "who makes an entry writable takes the page out of the cache",
                never("made-writable-in-cache", "swap-out-while-pinned", BASE,
                      watch="writable-cached"),
            ),
            reading(
                "his first exception: the page is cached, and then not unmapped",
                shows("left-writable-in-cache", "swap-out-while-pinned", OLD,
                      watch="writable-cached"),
            ),
            reading(
                "his second exception: gup-fast comes after add_to_swap() and before the unmapping",
                shows("taken-in-cache", "reclaim-vs-gup-fast", BASE, watch="writable-cached"),
            ),
        ),
        REFUTED,
        "there is a third one: reuse_swap_page() says yes to a page under writeback and leaves it"
        " in the cache, which is how it may be there before gup runs (Arcangeli 18:46)",
    ),
)  # fmt: skip
