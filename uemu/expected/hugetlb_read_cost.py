"""What is expected of ``hugetlb-read-cost``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7",
        "",
        "a private mapping of hugetlb is copied on write since v2.6.16 (1e8f889b10d8)",
    ),
    expect(
        "linux-2.6.29 redhat-2.6.18 arcangeli-2009-page-multiple arcangeli-2009-v1"
        " arcangeli-2009-v2 piggin-2009-vma piggin-2009-page piggin-2009-one-reader"
        " torvalds-2009-mmap-sem torvalds-2009-fork-lock torvalds-2009-directed-cow"
        " torvalds-2009-page-count kosaki-2009-directio-sem kosaki-2009-pinned-sem"
        " kamezawa-2009-dio-lock kosaki-2009-dont-unmap linux-4.19 linux-5.8 linux-5.9"
        " linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned"
        " hildenbrand-2021-model1 hildenbrand-2021-model2 linux-5.19 linux-6.5",
        "",
        "nobody forks, and nobody else is there: one process reads into its own memory",
    ),
)
