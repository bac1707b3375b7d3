"""What is expected of ``hugetlb-reverse-race``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7",
        "",
        "a private mapping of hugetlb is copied on write since v2.6.16 (1e8f889b10d8)",
    ),
    expect(
        "linux-2.6.29 redhat-2.6.18 arcangeli-2009-page-multiple piggin-2009-one-reader"
        " torvalds-2009-directed-cow kosaki-2009-dont-unmap kamezawa-2009-dio-lock",
        "",
        "a read gup takes the shared page, but hugetlb_cow() asks page_count: 3 and then 2, so"
        " both stores copy and leave the frames to the device",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock torvalds-2009-page-count"
        " kosaki-2009-directio-sem",
        "",
        "fork is over before the I/O begins, so nobody waits; page_count is 3 and then 2, as in"
        " 2.6.29",
    ),
    expect(
        "kosaki-2009-pinned-sem",
        "",
        "follow_hugetlb_page() is called before decow is asked after, so the slow path takes the"
        " shared page; page_count is 3 and then 2, as in 2.6.29",
    ),
    expect(
        "arcangeli-2009-v1",
        "",
        "a read gup takes the shared page and marks it; page_count is 3 and then 2, as in 2.6.29",
    ),
    expect(
        "arcangeli-2009-v2",
        "",
        'gup breaks COW of hugetlb, as if to write, "always" (03-16 13:56), so the parent holds'
        " a page of its own",
    ),
    expect(
        "piggin-2009-vma piggin-2009-page",
        "",
        "gup_huge_pmd() is as it was and takes the shared page; page_count is 3 and then 2, as in"
        " 2.6.29",
    ),
    expect(
        "linux-4.19",
        "foreign-dma-read",
        "gup_huge_pmd() takes a read-only entry to read; the parent's store copies at mapcount 2,"
        " the child's takes over the device's frames at 1",
    ),
    expect(
        "linux-5.8",
        "",
        "gup after fork: should_force_cow_break() is asked of hugetlb, too, so the parent holds a"
        " copy of its own (17839856fd58)",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned"
        " hildenbrand-2021-model1 hildenbrand-2021-model2",
        "foreign-dma-read",
        "nothing is forced any more (a308c71bf1e6), and hugetlb_cow() asks the mapcount still, so"
        " the child takes over the device's frames, as on 4.19",
    ),
    expect(
        "linux-5.19",
        "foreign-dma-read",
        "a get does not unshare, and hugetlb_cow() asks the mapcount: the child, alone by then,"
        " makes the device's frames its own",
    ),
    expect(
        "linux-6.5",
        "",
        "a read-only pin of a page that is not exclusive unshares it first, hugetlb or not"
        " (a7f226604170), so the device reads the parent's bytes",
    ),
)
