"""What is expected of ``reverse-race``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.6.29",
        "foreign-dma-read",
        "a read gup takes the shared frame, the parent's store leaves it, and the child's finds"
        " mapcount 1 and reuses it (Piggin 03-14 04:59; ground truth d1 on 4.19)",
    ),
    expect(
        "piggin-2009-one-reader",
        "",
        "the parent's read gup is recorded, so its store copies for the child and the device has"
        " the parent's frame (03-14 05:20)",
    ),
    expect(
        "linux-2.6.7",
        "",
        "a read gup takes the shared frame, but it is counted: page_count is above 1 at both"
        ' stores, so both leave it (Torvalds 03-16 17:42, "go back to also looking at page'
        ' counts")',
    ),
    expect(
        "linux-2.4-dio-pglock",
        "",
        "a read gup takes the shared frame and locks it, so both stores leave it to the device",
    ),
    expect(
        "torvalds-2009-directed-cow",
        "",
        "a read gup takes the shared frame, and the parent's store leaves it there: the child"
        " moves to a copy, so the device reads the parent's bytes (03-11 19:01)",
    ),
    expect(
        "redhat-2.6.18",
        "foreign-dma-read",
        "nobody held the page when fork shared it; a read gup takes the shared frame, and"
        " do_wp_page still asks the mapcount, as in 2.6.29",
    ),
    expect(
        "arcangeli-2009-v1",
        "foreign-dma-read",
        "fork came first and shared; a read gup of v1 takes the read-only page and only marks"
        " it, so it is 2.6.29's reverse race (Piggin 03-14 04:59)",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "foreign-dma-read",
        "a whole page is taken as ever: the read gup takes the shared frame, the parent's store"
        " leaves it and the child's reuses it, as in 2.6.29",
    ),
    expect(
        "arcangeli-2009-v2",
        "",
        "gup breaks COW on a read-only anonymous page even to read (v2, follow_page), so the"
        " parent holds a frame of its own",
    ),
    expect(
        "piggin-2009-page",
        "",
        "gup breaks COW for a read too, so the parent holds a frame of its own (03-14 04:59)",
    ),
    expect(
        "torvalds-2009-page-count",
        "",
        "fork was over before; do_wp_page finds page_count 2 at the child's store and copies, so"
        " the device reads what it was given (03-17 00:44)",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "the first gup un-COWs every page of the area, and decow_one_pte drops one of the two"
        " references that each original loses (03-12 16:23)",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "fork-blocked",
        "the parent's store is inside the range and retried; the child, whose registry is empty,"
        " copies, and then the parent, alone on the frame, goes on and reuses it",
    ),
    expect(
        "kosaki-2009-dont-unmap",
        "",
        "the parent's store leaves the shared frame; the child's finds mapcount 1 and page_count 2,"
        " and leaves it, too (004, count + page_count == 2)",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock kosaki-2009-directio-sem",
        "foreign-dma-read",
        "fork is over before the I/O begins, so nobody waits; a read gup takes the shared"
        " frame and do_wp_page asks the mapcount (Piggin 03-16 16:50, 17:19; Torvalds 17:42,"
        " reading the code)",
    ),
    expect(
        "kosaki-2009-pinned-sem",
        "",
        "gup-fast takes writable entries only and its slow path breaks COW for a read, too,"
        " so the parent holds a frame of its own (03-22 12:23)",
    ),
    expect(
        "linux-4.19",
        "foreign-dma-read",
        "gup_pte_range takes a read-only entry to read; the parent's store leaves the frame,"
        " the child's reuses it (ground truth d1 on 4.19)",
    ),
    expect(
        "linux-5.8",
        "",
        "gup after fork: the read gup takes a write fault first, so the parent holds a copy of"
        " its own (17839856fd58)",
    ),
    expect(
        "linux-5.9",
        "",
        "do_wp_page copies while page_count is above 1, so both stores leave the frame and the"
        " device reads old bytes (ground truth d1 on 5.10)",
    ),
    expect(
        "linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
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
        "a get does not unshare, but the page is not exclusive and page_count is above 1, so"
        " both stores copy (ground truth d1 on 6.1)",
    ),
    expect(
        "linux-6.5",
        "",
        "a read-only pin of a page that is not exclusive unshares it first (a7f226604170), so"
        " the device reads the parent's bytes (ground truth d1 on 6.18)",
    ),
    expect(
        "arcangeli-2009-v2:norecheck",
        "foreign-dma-read",
        "it is the second look at the entry that refuses a read-only one to a read gup (03-16"
        " 13:56, gup_pte_range); without it gup-fast keeps the shared page",
    ),
)
