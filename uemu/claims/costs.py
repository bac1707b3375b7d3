"""What the proposals cost where nothing is wrong (C21, C44, C46)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, REFUTED, Claim, reading
from uemu.claims.measure import costs
from uemu.claims.source import kosaki, piggin, torvalds

BASE = "linux-2.6.29"
V2 = "arcangeli-2009-v2"
KOSAKI_V2 = "kosaki-2009-pinned-sem"

CLAIMS = (
    Claim(
        "C21",
        "kosaki v2 breaks COW on every page when a forked snapshot is written out",
        (torvalds("23 16:46", "alpine.LFD.2.00.0903230940580.3030@localhost.localdomain"),),
        (
            reading(
                "the child writes it, and nobody stores",
                costs("cow_copies", "=", 4, "snapshot-writeout-cost", KOSAKI_V2),
                costs("cow_copies", "=", 64, "snapshot-writeout-cost", KOSAKI_V2, pages=64),
                costs("cow_copies", "=", 0, "snapshot-writeout-cost", BASE, pages=64),
            ),
        ),
        CONFIRMED,
        "gup-fast takes writable entries alone, and its slow path breaks COW for whoever reads",
    ),
    Claim(
        "C44",
        "v2's hugepage gup-fast adds up to 63 atomics and 64 fences per 64 pages",
        (piggin("16 16:01", "200903170301.43091.nickpiggin@yahoo.com.au"),),
        (
            reading(
                "the fences",
                costs("gup_fast_barriers", "=", 64, "hugetlb-read-cost", V2, base=BASE),
            ),
            reading(
                "the atomics",
                costs("gup_fast_atomics", "=", 63, "hugetlb-read-cost", V2, base=BASE),
            ),
        ),
        CONFIRMED,
        "64 references are taken one by one, each with its fence, where one instruction added 64 to"
        " the head's count; the first time the mark is one atomic more",
    ),
    Claim(
        "C46",
        "early decow costs only short-lived processes",
        (kosaki("22 12:23", "20090322205249.6801.A69D9226@jp.fujitsu.com"),),
        (
            reading(
                "who lives on pays nothing, whatever it does with its memory",
                costs("cow_copies", "=", 0, "snapshot-writeout-cost", KOSAKI_V2, base=BASE),
            ),
            reading(
                "who lives on until it has stored to the pages pays nothing",
                costs("cow_copies", "=", 0, "forkscrewreverse", KOSAKI_V2, base=BASE, pages=65),
                costs("cow_copies", "=", 0, "reverse-race", KOSAKI_V2, base=BASE),
            ),
        ),
        REFUTED,
        "a copy that a store would have made is made earlier; who stores nothing, as the writer of"
        " a snapshot, would have needed none, however long it lives (Torvalds 03-23 16:46)",
    ),
)
