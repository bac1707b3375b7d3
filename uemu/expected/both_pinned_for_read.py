"""What is expected of ``both-pinned-for-read``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock",
        "",
        "2.4 has no AIO",
    ),
    expect(
        "linux-2.6.7",
        "",
        "page_count is above 1 at both stores, so both leave the frame that the devices read",
    ),
    expect(
        "linux-2.6.29 redhat-2.6.18 arcangeli-2009-page-multiple torvalds-2009-mmap-sem"
        " torvalds-2009-fork-lock kosaki-2009-directio-sem linux-4.19",
        "foreign-dma-read",
        "a read gup takes the shared frame for both; the parent's store leaves it, the child's"
        " finds mapcount 1 and reuses it, and the parent's device receives that",
    ),
    expect(
        "arcangeli-2009-v1 torvalds-2009-fork-lock:lookup",
        "foreign-dma-read",
        "nobody held the page when fork shared it; a read gup takes it for both and only marks it,"
        " and the child's store reuses the frame that the parent's device reads",
    ),
    expect(
        "arcangeli-2009-v2 piggin-2009-page kosaki-2009-pinned-sem linux-5.8",
        "",
        "a read gup of a shared page breaks COW first, so each holds a frame of its own",
    ),
    expect(
        "arcangeli-2009-v2:norecheck",
        "foreign-dma-read",
        "without the second look gup-fast keeps the shared page for both, and the child's store"
        " reuses the frame",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "the first gup un-COWs the area, and decow_one_pte drops one of the two references that"
        " each original loses (03-12 16:23)",
    ),
    expect(
        "torvalds-2009-directed-cow",
        "foreign-dma-read",
        "the parent owns the page: its store goes into the frame that the child's device reads"
        " (Piggin 03-14 05:20)",
    ),
    expect(
        "piggin-2009-one-reader",
        "",
        "one process alone may hold a write-protected page for reading: the child's gup breaks COW"
        " (03-14 05:20)",
    ),
    expect(
        "torvalds-2009-page-count kosaki-2009-dont-unmap",
        "",
        "the references of the devices count, so both stores leave the frame",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "fork-blocked",
        "each one's store faults inside its own registered range and waits for its own I/O",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "",
        "page_count is above 1 at both stores, so both leave the frame (ground truth d1 on 5.10)",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "fork took the bit away when it shared, and page_count is above 1 at both stores, so both"
        " leave the frame",
    ),
    expect(
        "linux-5.19",
        "",
        "gets do not unshare, but the page is not exclusive and page_count is above 1, so both"
        " stores leave the frame (ground truth d1 on 6.1)",
    ),
    expect(
        "linux-6.5",
        "",
        "a read-only pin unshares first, the parent's by a copy, the child's by taking over what"
        " is left (a7f226604170)",
    ),
)
