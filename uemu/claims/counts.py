"""Asking page_count: before a page is reused, unmapped, merged (C16, C30, C31, C39, C40)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, Claim, reading
from uemu.claims.question import never, shows
from uemu.claims.source import GUNTHORPE, arcangeli, torvalds

LOST, FOREIGN = "lost-dma-write", "foreign-dma-read"
UNSAFE = "unsafe-reuse"

COUNTS = "torvalds-2009-page-count"
"""2.6.29 that asks for page_count in do_wp_page, and has a semaphore for direct I/O."""
TODAY = "linux-5.11"
"""What he spoke of: before PG_anon_exclusive."""

CLAIMS = (
    Claim(
        "C16",
        "looking at page_count in do_wp_page fixes the reverse race",
        (
            torvalds("16 17:42", "alpine.LFD.2.00.0903161034030.3675@localhost.localdomain"),
            torvalds("17 00:44", "alpine.LFD.2.00.0903161739310.3082@localhost.localdomain"),
        ),
        (
            reading(
                "a TLB flush waits for a running gup-fast, as on x86",
                shows(FOREIGN, "reverse-race", "linux-2.6.29"),
                never(FOREIGN, "reverse-race", COUNTS),
                never(FOREIGN, "ro-pin-then-fork", COUNTS),
                never(FOREIGN, "both-pinned-for-read", COUNTS),
                never(FOREIGN, "reverse-race", "linux-2.6.7"),
            ),
            reading(
                "a TLB flush does not wait",
                never(FOREIGN, "reverse-race", COUNTS, ipi_wait=False),
            ),
            reading(
                "a TLB flush does not wait, and gup-fast looks twice, as it did later",
                never(FOREIGN, "reverse-race", "linux-5.9", ipi_wait=False),
            ),
        ),
        CONFIRMED,
        "who holds the page has raised its count, so both stores leave the frame; only a gup-fast"
        " that took it from an entry gone meanwhile comes after the count was read",
    ),
    Claim(
        "C30",
        "refcount == 1 always means safe to reuse",
        (GUNTHORPE,),
        (
            reading(
                "in the kernels that ask for it, from 5.9 on",
                *(
                    never(UNSAFE, scenario, policy, watch="reuses")
                    for policy in ("linux-5.9", "linux-5.19")
                    for scenario in ("reverse-race", "ro-pin-then-fork", "lost-read")
                ),
                never(UNSAFE, "reverse-race", "linux-5.9", watch="reuses", ipi_wait=False),
            ),
            reading(
                "in 2.6.29 with that question, where a TLB flush does not wait for gup-fast",
                never(UNSAFE, "reverse-race", COUNTS, watch="reuses", ipi_wait=False),
            ),
        ),
        CONFIRMED,
        "whoever can reach the page holds a reference; gup-fast may take one after the count was"
        " read, but since 4.x it looks at the entry again and drops it",
    ),
    Claim(
        "C31",
        "a read-only reference to a page not exclusive is either tolerant of a false COW or broken"
        " like VFIO",
        (GUNTHORPE,),
        (
            reading(
                "the users there were: O_DIRECT, vmsplice, VFIO",
                never("foreign-dma-read stale-dma-read", "reverse-race", TODAY),
                never("foreign-dma-read stale-dma-read", "both-pinned-for-read", TODAY),
                never("secret-leak stale-dma-read", "vmsplice-then-fork", TODAY),
                shows("stale-dma-read", "ro-longterm-pin", TODAY),
            ),
        ),
        CONFIRMED,
        "a request wants what the memory held when it was made, a pipe what was put into it: a"
        " copy that others go on with does no harm; who keeps the page to see later stores has it"
        " no more",
    ),
    Claim(
        "C39",
        "count and mapcount cannot be compared while mapcount > 1; only mapcount 1 matters",
        (
            arcangeli("16 18:28", "20090316182814.GA20555@random.random"),
            torvalds("17 19:55", "alpine.LFD.2.00.0903171242080.3082@localhost.localdomain"),
        ),
        (
            reading(
                "the page table lock keeps others from changing mapcount 1, and no other mapcount",
                shows("shared-count-moved", "lost-read", "linux-2.6.29", watch="mapcounts"),
                never("sole-count-moved", "lost-read", "linux-2.6.29", watch="mapcounts"),
                never("sole-count-moved", "reverse-race", "linux-2.6.29", watch="mapcounts"),
            ),
            reading(
                "with mapcount 1 the lock is enough to compare, gup-fast or not",
                never(LOST, "reclaim-vs-gup-fast", "linux-2.6.7:gup-fast"),
            ),
        ),
        CONFIRMED,
        "each process has a lock of its own, so one that unmaps the page changes both numbers under"
        " the other's; gup-fast has none, and changes the count whatever the mapcount is",
    ),
    Claim(
        "C40",
        "KSM is safe: clear and flush the PTE, then compare the counts",
        (arcangeli("16 13:56", "20090316135654.GA17949@random.random"),),
        (
            reading(
                "a TLB flush waits for a running gup-fast, as on x86",
                never(LOST, "ksm-merge-pinned", "linux-4.19"),
            ),
            reading(
                "a TLB flush does not wait, and gup-fast looks twice, as it did later",
                never(LOST, "ksm-merge-pinned", "linux-4.19", ipi_wait=False),
            ),
        ),
        CONFIRMED,
        "who took the page before the flush has raised its count, and who comes later finds no"
        " entry; what is held is put back as it was",
    ),
)
