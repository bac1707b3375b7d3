"""Copies that fork makes at once: are they of one moment? (C13)."""

from __future__ import annotations

from uemu.claims.claim import REFUTED, Claim, reading
from uemu.claims.question import never
from uemu.claims.source import piggin

TORN = "torn-fork-copy"

CLAIMS = (
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
                "they are flushed before the copy, as in Arcangeli's",
                never(TORN, "fork-copy-tearing", "arcangeli-2009-v1"),
                never(TORN, "fork-copy-tearing", "arcangeli-2009-v2"),
            ),
        ),
        REFUTED,
        "another CPU stores through the translation that it has while the frame is copied",
    ),
)
