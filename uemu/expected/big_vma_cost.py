"""What is expected of ``big-vma-cost``: who waits, who leaks, and why nothing else."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 linux-2.6.29 linux-4.19 linux-5.8 linux-5.9 linux-5.11"
        " linux-5.19 arcangeli-2009-page-multiple torvalds-2009-directed-cow"
        " kosaki-2009-dont-unmap piggin-2009-one-reader kamezawa-2009-dio-lock"
        " hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "",
        "fork shares all pages, the held one too, and nobody stores: nothing is copied",
    ),
    expect(
        "redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-page linux-6.5",
        "",
        "fork copies the one page that is held, or marked, or pinned",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "fork may copy the one page that has additional references (document 000); nobody stores",
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
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock torvalds-2009-page-count"
        " kosaki-2009-directio-sem kosaki-2009-pinned-sem",
        "fork-blocked",
        "fork waits for the write to end, however small it is",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup",
        "",
        "the lock is held over the lookup only, and gup marks the page: fork copies that one",
    ),
)
