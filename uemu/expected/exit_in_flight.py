"""What is expected of ``exit-in-flight``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 linux-2.6.29 arcangeli-2009-page-multiple"
        " kosaki-2009-dont-unmap linux-4.19",
        "dma-write-seen-by-other",
        "fork shares what a device holds, and when its owner has exited the child has the frame"
        " that the device writes (Torvalds 03-11 20:19)",
    ),
    expect(
        "linux-5.8",
        "dma-write-seen-by-other",
        "the registration pins, but fork asks for no reference before v5.9: the child has the"
        " frame",
    ),
    expect(
        "piggin-2009-one-reader torvalds-2009-directed-cow",
        "dma-write-seen-by-other",
        "nobody stores, so no COW is directed anywhere: the owner exits, and the child has the"
        " frame (Torvalds 03-11 20:19, of his own proposal)",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock",
        "deadlock",
        "the lock is held as long as the page, and a registration ends after fork or never"
        " (Herrenschmidt 03-14 05:07)",
    ),
    expect(
        "torvalds-2009-mmap-sem:direct-io-call torvalds-2009-page-count kosaki-2009-directio-sem"
        " kosaki-2009-pinned-sem kamezawa-2009-dio-lock",
        "dma-write-seen-by-other",
        "direct I/O alone takes the lock, and a registration is none (Piggin 03-16 16:50): fork"
        " shares, and the child has the frame when its owner has exited",
    ),
    expect(
        "redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-page"
        " torvalds-2009-fork-lock:lookup",
        "",
        "fork finds the page held, marked or with more references than PTEs, and copies it for the"
        " child",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned"
        " hildenbrand-2021-model1 hildenbrand-2021-model2 linux-5.19 linux-6.5",
        "",
        "the registration pins, so fork copies for the child, and the frame is the device's alone"
        " when its owner has exited (70e806e4e645)",
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
