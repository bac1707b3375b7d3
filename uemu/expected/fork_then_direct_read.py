"""What is expected of ``fork-then-direct-read``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 linux-2.6.29 redhat-2.6.18 arcangeli-2009-v1"
        " arcangeli-2009-v2 piggin-2009-page torvalds-2009-mmap-sem torvalds-2009-fork-lock"
        " torvalds-2009-page-count kosaki-2009-directio-sem kosaki-2009-pinned-sem"
        " kosaki-2009-dont-unmap",
        "",
        "gup for a device that writes takes a write fault, which copies what is shared: the parent"
        " holds a frame of its own",
    ),
    expect(
        "piggin-2009-page:first",
        "",
        "the parent's gup breaks COW by an ordinary write fault; decow_one_pte, which leaks, runs"
        " at fork only, and nothing was marked then",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "fork-blocked",
        "the range begins behind the page, but gup's fault is at the buffer's own address and"
        " counts as a page from there on: it is retried for its own I/O until the parent's store"
        " to byte 0, which meets no range, has broken COW",
    ),
    expect(
        "piggin-2009-one-reader torvalds-2009-directed-cow",
        "",
        "gup's write fault is the owner's: it keeps the frame and the child gets the copy",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "512 bytes are EINVAL, so no device is there; read() stores the bytes (03-11 18:37)",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "the first gup un-COWs every page of the area, and decow_one_pte drops one of the two"
        " references that each original loses (03-12 16:23)",
    ),
    expect(
        "linux-4.19 linux-5.8 linux-5.9 linux-5.11 hubbard-2021-locked-pages"
        " kara-2021-unmap-if-not-pinned hildenbrand-2021-model1 hildenbrand-2021-model2 linux-5.19"
        " linux-6.5",
        "",
        "gup for a device that writes breaks COW first, on every kernel (ground truth d4)",
    ),
)
