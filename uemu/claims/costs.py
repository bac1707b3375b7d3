"""What the proposals cost where nothing is wrong (C44)."""

from __future__ import annotations

from uemu.claims.claim import UNDECIDABLE, Claim, reading
from uemu.claims.measure import costs
from uemu.claims.source import piggin

BASE = "linux-2.6.29"
V2 = "arcangeli-2009-v2"

CLAIMS = (
    Claim(
        "C44",
        "v2's hugepage gup-fast adds up to 63 atomics and 64 fences per 64 pages",
        (piggin("16 16:01", "200903170301.43091.nickpiggin@yahoo.com.au"),),
        (
            reading(
                "the fences, of small pages",
                costs("gup_fast_barriers", "=", 64, "big-read-cost", V2, base=BASE, pages=64),
            ),
            reading(
                "the atomics, of small pages",
                costs("gup_fast_atomics", "=", 63, "big-read-cost", V2, base=BASE, pages=64),
            ),
        ),
        UNDECIDABLE,
        "the fences are one for each page, however large; the 63 are those by which 64 references"
        " taken one by one exceed one for them all, as a huge page's head has it, and huge pages"
        " are not emulated; of small pages it is the mark, 64 atomics the first time",
        open=True,
    ),
)
