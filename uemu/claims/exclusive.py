"""PG_anon_exclusive: its models, and what the later kernels promise (C32 to C34)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, UNDECIDABLE, Claim, reading
from uemu.claims.measure import SLOW_GUPS, costs
from uemu.claims.question import never, shows
from uemu.claims.source import GUNTHORPE, HILDENBRAND

INCONSISTENT = (
    "lost-dma-write dma-write-seen-by-other foreign-dma-read stale-dma-read not-exclusive"
)

UNSAFE = "unsafe-reuse"
"""Two processes that both take a page for exclusive reuse it."""

MODEL_2 = "hildenbrand-2021-model2"
MARKED_ONLY = f"{MODEL_2}:marked-only"
NO_SEQ = "linux-5.19:hugetlb-no-seq"

CLAIMS = (
    Claim(
        "C32",
        "model 2 is not achievable without destroying gup-fast",
        (GUNTHORPE,),
        (
            reading(
                "gup-fast is destroyed if it cannot take a page that gup never took before",
                shows(UNSAFE, "gup-fast-vs-fork", MODEL_2, watch="reuses"),
                costs(SLOW_GUPS, "at least", 1, "gup-fast-vs-fork", MARKED_ONLY),
            ),
            reading(
                "gup-fast is destroyed if it cannot take again what gup took before",
                shows(UNSAFE, "gup-fast-again-vs-fork", MODEL_2, watch="reuses"),
                costs(SLOW_GUPS, "at least", 1, "gup-fast-again-vs-fork", MARKED_ONLY),
            ),
        ),
        UNDECIDABLE,
        "gup-fast that marks a page without a lock may mark one that fork has shared meanwhile;"
        " one that takes only what is marked cannot, and is slow for a page's first time alone:"
        " whether that destroys it the words do not say",
        open=True,
    ),
    Claim(
        "C33",
        "with PG_anon_exclusive and unsharing every FOLL_PIN of an anonymous page, R/O or R/W,"
        " stays consistent through fork",
        (HILDENBRAND,),
        (
            reading(
                "what pins: VFIO, and O_DIRECT since 6.5",
                never(INCONSISTENT, "gup-fast-vs-fork", "linux-6.5"),
                never(INCONSISTENT, "gup-fast-vs-fork", "linux-6.5", ipi_wait=False),
                never(INCONSISTENT, "gup-fast-again-vs-fork", "linux-6.5"),
                never(INCONSISTENT, "lost-read", "linux-6.5"),
                never(INCONSISTENT, "two-readers-one-page", "linux-6.5"),
                never(INCONSISTENT, "child-exits-first", "linux-6.5"),
                never(INCONSISTENT, "reverse-race", "linux-6.5"),
                never(INCONSISTENT, "ro-pin-then-fork", "linux-6.5"),
                never(INCONSISTENT, "ro-longterm-pin", "linux-6.5"),
                never(INCONSISTENT, "ro-longterm-pin", "linux-5.19"),
            ),
            reading(
                "the same of pages of hugetlb",
                never(INCONSISTENT, "hugetlb-pin-vs-fork", "linux-6.5"),
                never(INCONSISTENT, "hugetlb-lost-read", "linux-6.5"),
                never(INCONSISTENT, "hugetlb-child-exits-first", "linux-6.5"),
                never(INCONSISTENT, "hugetlb-reverse-race", "linux-6.5"),
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
    Claim(
        "C34",
        "hugetlb needs write_protect_seq in copy_hugetlb_page_range",
        (HILDENBRAND,),
        (
            reading(
                "without it a pin that gup-fast takes while fork shares the huge page is lost",
                shows("lost-dma-write", "hugetlb-pin-vs-fork", NO_SEQ),
            ),
            reading(
                "with it nothing is",
                never(INCONSISTENT, "hugetlb-pin-vs-fork", "linux-5.19"),
                never(INCONSISTENT, "hugetlb-pin-vs-fork", "linux-5.19", ipi_wait=False),
            ),
        ),
        CONFIRMED,
        "fork looks for pins and write-protects the entry after that; a pin in between is of a page"
        " that it takes for unpinned, and gup-fast finds the entry as it was",
    ),
)
