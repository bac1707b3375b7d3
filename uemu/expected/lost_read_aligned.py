"""What is expected of ``lost-read-aligned``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 linux-2.6.29 arcangeli-2009-page-multiple"
        " kosaki-2009-dont-unmap",
        "dma-write-seen-by-other",
        "nobody stores to the page, so the parent keeps its frame (memalign(4096) is safe, 03-11"
        " 18:37); but fork shared it, and the child sees the device's bytes",
    ),
    expect(
        "linux-4.19",
        "dma-write-seen-by-other",
        "nobody stores to the page, so the parent keeps its frame, and the child, which shares it,"
        " sees the device's bytes (ground truth a0 on 4.19)",
    ),
    expect(
        "linux-5.8",
        "dma-write-seen-by-other",
        "fork looks at no reference before v5.9; the parent keeps the frame, and the child shares"
        " it",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned linux-5.19",
        "dma-write-seen-by-other",
        "fork copies for pins only and O_DIRECT gets, so the child shares the frame that the"
        " parent keeps (ground truth a0 on 5.10 and 6.1)",
    ),
    expect(
        "piggin-2009-one-reader torvalds-2009-directed-cow",
        "dma-write-seen-by-other",
        "who gets the copy is decided at a store, and nobody stores: the child shares the frame",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "dma-write-seen-by-other fork-blocked",
        "fork shares, so the child sees the device's bytes; the registered range is a page too"
        " long, so the parent's store to the page behind the buffer waits for the I/O (03-16"
        " 23:59, dio_lock)",
    ),
    expect(
        "redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-page"
        " torvalds-2009-fork-lock:lookup hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "fork finds the page held, marked or with more references than PTEs, and copies it for the"
        " child; the parent keeps the frame the device writes",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock torvalds-2009-page-count"
        " kosaki-2009-directio-sem kosaki-2009-pinned-sem",
        "fork-blocked",
        "fork waits until read(2) is over, so that nothing is in flight when it shares",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "fork copies every page of the area for the child, and decow_one_pte drops one of the two"
        " references that each original loses (03-12 16:23)",
    ),
    expect(
        "linux-6.5",
        "",
        "O_DIRECT pins since a7e689dd1c06, so fork copies for the child (70e806e4e645)",
    ),
    expect(
        "piggin-2009-page:first",
        "refcount-leak",
        "the first form drops one of the two references of the page that the child leaves: a leak"
        " per copy (03-14 04:46, decow_one_pte)",
    ),
)
