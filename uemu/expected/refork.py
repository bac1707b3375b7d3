"""What is expected of ``refork``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7",
        "dma-write-seen-by-other lost-dma-write",
        "the second fork shares the held page; page_count is above 1, so the parent's store copies"
        " and the child keeps the frame",
    ),
    expect(
        "linux-2.6.29 kamezawa-2009-dio-lock linux-5.8",
        "dma-write-seen-by-other lost-dma-write",
        "the second fork shares the held page; mapcount is 2 again, so the parent's store copies"
        " and the child keeps the frame",
    ),
    expect(
        "linux-4.19",
        "dma-write-seen-by-other lost-dma-write",
        "the second fork shares the held page, mapcount is 2, and the parent's store copies"
        " (ground truth a6 on 4.19)",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned linux-5.19",
        "dma-write-seen-by-other lost-dma-write",
        "both forks share, for O_DIRECT only gets; page_count is 3, so the parent's store copies"
        " (ground truth a6 on 5.10 and 6.1)",
    ),
    expect(
        "kosaki-2009-dont-unmap",
        "dma-write-seen-by-other lost-dma-write",
        "fork shares, and count + page_count is not 2, so the parent's store copies",
    ),
    expect(
        "redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2",
        "",
        "the first fork gave the parent's entry its write bit back, so the second examines it as"
        " well and copies",
    ),
    expect(
        "piggin-2009-page",
        "",
        "the mark is sticky, and fork looks at it whether the entry is writable or not",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "the flag outlives the first fork, and the second finds it and the reference: both copy"
        " for the child",
    ),
    expect(
        "piggin-2009-one-reader torvalds-2009-directed-cow",
        "",
        "the parent owns the page, so its store keeps the frame and the second child gets the copy",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "512 bytes are EINVAL, so no device is there; read() stores the bytes (03-11 18:37)",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock torvalds-2009-page-count"
        " kosaki-2009-directio-sem kosaki-2009-pinned-sem",
        "fork-blocked",
        "the first fork waits until read(2) is over, so that nothing is in flight when either"
        " shares",
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
        "O_DIRECT pins since a7e689dd1c06, so both forks copy for the child, and the page stays"
        " exclusive (ground truth a6 on 6.18)",
    ),
    expect(
        "piggin-2009-page:first",
        "refcount-leak",
        "the first form drops one of the two references of the page that the child leaves: a leak"
        " per copy (03-14 04:46, decow_one_pte)",
    ),
)
