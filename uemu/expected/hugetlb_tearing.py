"""What is expected of ``hugetlb-tearing``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7",
        "",
        "a private mapping of hugetlb is copied on write since v2.6.16 (1e8f889b10d8)",
    ),
    expect(
        "linux-2.6.29 redhat-2.6.18 arcangeli-2009-page-multiple piggin-2009-page"
        " piggin-2009-one-reader torvalds-2009-directed-cow torvalds-2009-page-count"
        " kosaki-2009-directio-sem kosaki-2009-pinned-sem kamezawa-2009-dio-lock"
        " kosaki-2009-dont-unmap linux-4.19 linux-5.8 linux-5.9 linux-5.11"
        " hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned hildenbrand-2021-model1"
        " hildenbrand-2021-model2",
        "",
        "fork copies no hugetlb, pinned or not, before v5.12; the store that follows leaves the"
        " frames, but the device does not look",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock",
        "fork-blocked",
        "whoever holds pages holds the lock, so fork waits until the registration is over",
    ),
    expect(
        "torvalds-2009-mmap-sem:direct-io-call",
        "",
        "the lock is held over ->direct_IO() alone, and a registration is none; fork copies"
        " nothing",
    ),
    expect(
        "arcangeli-2009-v1 arcangeli-2009-v2 torvalds-2009-fork-lock:lookup",
        "",
        "told in order fork copies while nobody stores; in the others the parent is"
        ' write-protected and flushed first ("force atomic copy from parent to child")',
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "slow gup walks the marked area as if it were of small pages: pmd_none_or_clear_bad()"
        " clears the huge entry, whose page nobody gives back (03-12 16:23, decow_page_range)",
    ),
    expect(
        "linux-5.19 linux-6.5",
        "",
        "told in order fork copies the pinned page while nobody stores; in the others nothing"
        " keeps the parent from storing, and no lock is held (4eae4efa2c29)",
    ),
)
