"""What is expected of ``ro-longterm-pin``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.6.29 linux-4.19 redhat-2.6.18 arcangeli-2009-page-multiple",
        "stale-dma-read",
        "a read gup takes the shared page, and the parent's store finds mapcount 2 and copies"
        " (ground truth d2 on 4.19: the device reads the old byte)",
    ),
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 torvalds-2009-page-count kosaki-2009-dont-unmap",
        "stale-dma-read",
        "that a write fault minds the reference helps the others: here it is the owner who"
        " stores, and page_count makes it leave the page that its own device reads",
    ),
    expect(
        "arcangeli-2009-v1",
        "stale-dma-read",
        "fork came first and shared; a read gup of v1 takes the read-only page and only marks"
        " it, and the store finds mapcount 2 and copies",
    ),
    expect(
        "arcangeli-2009-v2",
        "",
        "gup breaks COW on a read-only anonymous page even to read (v2, follow_page)",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "the first gup un-COWs every page of the area, and decow_one_pte drops one of the two"
        " references that each original loses (03-12 16:23)",
    ),
    expect(
        "piggin-2009-page",
        "",
        "gup breaks COW for a read too, so the parent holds a frame of its own (03-14 04:59)",
    ),
    expect(
        "piggin-2009-one-reader torvalds-2009-directed-cow",
        "",
        "COW is broken toward the parent, who keeps the frame and stores into it (03-11 19:01,"
        " 03-14 05:20)",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock kosaki-2009-directio-sem"
        " kamezawa-2009-dio-lock",
        "stale-dma-read",
        'fork was over before there was anything to wait for, and a lock copies no page: "a'
        ' readonly get_user_pages on an already shared pte" (Piggin 03-16 16:50)',
    ),
    expect(
        "kosaki-2009-pinned-sem",
        "stale-dma-read",
        "COW is broken early in the slow path of gup-fast alone (PINNING_PAGE), and VFIO calls"
        " plain get_user_pages (03-22 12:23)",
    ),
    expect(
        "linux-5.8",
        "",
        "the read gup takes a write fault first, so the parent holds a copy of its own"
        " (17839856fd58)",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "stale-dma-read",
        "the forced break is gone (a308c71bf1e6): a read-only pin takes the shared page, and the"
        " store finds page_count above 1 and copies (ground truth d2 on 5.10)",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "stale-dma-read",
        "without unsharing a read-only pin of a page that is not exclusive stays what it was:"
        ' "broken like VFIO" (Gunthorpe, document 000)',
    ),
    expect(
        "linux-5.19 linux-6.5",
        "",
        "a read-only pin of a page that is not exclusive unshares it first (a7f226604170)",
    ),
)
