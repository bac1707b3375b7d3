"""What is expected of ``fork-copy-tearing``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 linux-2.6.29 arcangeli-2009-page-multiple"
        " piggin-2009-one-reader torvalds-2009-directed-cow torvalds-2009-page-count"
        " kosaki-2009-directio-sem kosaki-2009-pinned-sem kamezawa-2009-dio-lock"
        " kosaki-2009-dont-unmap linux-4.19 linux-5.8",
        "",
        "fork copies nothing, and no lock covers a registration; the store that follows leaves the"
        " frame, but the device does not look",
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
        "redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2 torvalds-2009-fork-lock:lookup",
        "",
        "told in order fork copies while nobody stores; in the others the parent is"
        " write-protected and flushed first",
    ),
    expect(
        "piggin-2009-page",
        "",
        "told in order fork copies while nobody stores; in the others a stale TLB entry lets the"
        " store through (03-13 16:09)",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned"
        " hildenbrand-2021-model1 hildenbrand-2021-model2 linux-5.19 linux-6.5",
        "",
        "told in order fork copies the pinned page while nobody stores; in the others nothing"
        " keeps the parent from storing",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "fork copies every page of the area for the child, and decow_one_pte drops one of the two"
        " references that each original loses (03-12 16:23)",
    ),
    expect(
        "piggin-2009-page:first",
        "refcount-leak",
        "the first form drops one of the two references of the page that the child leaves: a leak"
        " per copy (03-14 04:46, decow_one_pte)",
    ),
)
