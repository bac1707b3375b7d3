"""PG_anon_exclusive: what the later kernels promise (C33)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, Claim, reading
from uemu.claims.question import never
from uemu.claims.source import HILDENBRAND

INCONSISTENT = (
    "lost-dma-write dma-write-seen-by-other foreign-dma-read stale-dma-read not-exclusive"
)

CLAIMS = (
    Claim(
        "C33",
        "with PG_anon_exclusive and unsharing every FOLL_PIN of an anonymous page, R/O or R/W,"
        " stays consistent through fork",
        (HILDENBRAND,),
        (
            reading(
                "what pins: O_DIRECT since 6.5",
                never(INCONSISTENT, "gup-fast-vs-fork", "linux-6.5"),
                never(INCONSISTENT, "gup-fast-vs-fork", "linux-6.5", ipi_wait=False),
                never(INCONSISTENT, "gup-fast-again-vs-fork", "linux-6.5"),
                never(INCONSISTENT, "lost-read", "linux-6.5"),
                never(INCONSISTENT, "two-readers-one-page", "linux-6.5"),
                never(INCONSISTENT, "child-exits-first", "linux-6.5"),
                never(INCONSISTENT, "reverse-race", "linux-6.5"),
                never(INCONSISTENT, "ro-pin-then-fork", "linux-6.5"),
            ),
            reading(
                "what only gets, as O_DIRECT did when it was said",
                never(INCONSISTENT, "lost-read", "linux-5.19"),
            ),
        ),
        CONFIRMED,
        "a pin is of an exclusive page, which fork copies and a write fault reuses; for FOLL_GET"
        " the letter promises nothing; swap, KSM and migration are not looked at here",
    ),
)
