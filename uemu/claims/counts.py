"""Asking page_count before a page is reused (C16, C30)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, Claim, reading
from uemu.claims.question import never
from uemu.claims.source import GUNTHORPE

FOREIGN = "foreign-dma-read"
UNSAFE = "unsafe-reuse"

CLAIMS = (
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
                never(
                    UNSAFE, "reverse-race", "kosaki-2009-dont-unmap", watch="reuses", ipi_wait=False
                ),
            ),
        ),
        CONFIRMED,
        "whoever can reach the page holds a reference; gup-fast may take one after the count was"
        " read, but since 4.x it looks at the entry again and drops it",
    ),
)
