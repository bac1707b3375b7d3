"""What is expected of ``hugetlb-pin-vs-fork``."""

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
        " kosaki-2009-dont-unmap",
        "dma-write-seen-by-other lost-dma-write",
        "a registration is no direct I/O, whose locks and ranges these are, and fork shares"
        " hugetlb; page_count is 3, so the parent's store leaves the frames to the device and"
        " the child",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock",
        "fork-blocked",
        "whoever holds pages holds the lock, so fork waits until the registration is over",
    ),
    expect(
        "torvalds-2009-mmap-sem:direct-io-call",
        "dma-write-seen-by-other lost-dma-write",
        "the lock is held over ->direct_IO() alone, and a registration is none",
    ),
    expect(
        "arcangeli-2009-v1 arcangeli-2009-v2 torvalds-2009-fork-lock:lookup",
        "",
        "told in order PG_gup is set on the head before fork looks (03-16 13:56)",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "slow gup walks the marked area as if it were of small pages: pmd_none_or_clear_bad()"
        " clears the huge entry, whose page nobody gives back (03-12 16:23, decow_page_range)",
    ),
    expect(
        "linux-4.19 linux-5.8 linux-5.9 linux-5.11 hubbard-2021-locked-pages"
        " kara-2021-unmap-if-not-pinned hildenbrand-2021-model1 hildenbrand-2021-model2",
        "dma-write-seen-by-other lost-dma-write",
        "fork copies no hugetlb before v5.12, pinned or not; mapcount is 2, so the parent's store"
        " leaves the frames (ground truth h1, io_uring, on 5.10)",
    ),
    expect(
        "linux-5.19 linux-6.5",
        "",
        "told in order fork finds the pin and copies for the child (4eae4efa2c29; ground truth"
        " h1, io_uring, on 6.1); in the others write_protect_seq turns gup-fast away",
    ),
)
