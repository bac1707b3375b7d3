"""What is expected of ``vmsplice-self-drain``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock",
        "deadlock",
        "fork waits for the pipe to be read, and only its child would read it (Piggin 03-16"
        " 17:19); that fork can be killed there is all that is left (Torvalds 17:02)",
    ),
    expect(
        "torvalds-2009-mmap-sem:direct-io-call kosaki-2009-directio-sem kosaki-2009-pinned-sem"
        " torvalds-2009-page-count kamezawa-2009-dio-lock",
        "",
        "the lock is direct I/O's and vmsplice takes none, so fork does not wait",
    ),
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 linux-2.6.29 linux-4.19 linux-5.8 linux-5.9 linux-5.11"
        " linux-5.19 linux-6.5 arcangeli-2009-page-multiple torvalds-2009-directed-cow"
        " piggin-2009-one-reader kosaki-2009-dont-unmap hubbard-2021-locked-pages"
        " kara-2021-unmap-if-not-pinned hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "fork waits for no reference, and nobody stores",
    ),
    expect(
        "redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-page",
        "",
        "fork copies the held page for the child and waits for nobody",
    ),
    expect(
        "piggin-2009-page:first",
        "refcount-leak",
        "the first form drops one of the two references of the page that the child leaves: a leak"
        " per copy (03-14 04:46, decow_one_pte)",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "fork copies every page of the area for the child, and decow_one_pte drops one of the two"
        " references that each original loses (03-12 16:23)",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup",
        "",
        "the lock is held over the lookup only, so fork waits for no pipe; it copies the page",
    ),
)
