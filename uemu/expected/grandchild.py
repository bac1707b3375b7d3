"""What is expected of ``grandchild``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7",
        "dma-write-seen-by-other lost-dma-write",
        "page_count is above 1 at both stores, so parent and child leave the frame to the"
        " grandchild",
    ),
    expect(
        "linux-2.6.29 kamezawa-2009-dio-lock linux-4.19 linux-5.8",
        "dma-write-seen-by-other lost-dma-write",
        "mapcount is 3 and then 2, so parent and child leave the frame, and the grandchild sees"
        " what the device writes",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned linux-5.19",
        "dma-write-seen-by-other lost-dma-write",
        "O_DIRECT only gets, so both forks share; page_count is above 1 at both stores, and the"
        " grandchild keeps the frame",
    ),
    expect(
        "kosaki-2009-dont-unmap",
        "dma-write-seen-by-other lost-dma-write",
        "count + page_count is not 2 at either store, so the grandchild keeps the frame",
    ),
    expect(
        "piggin-2009-one-reader torvalds-2009-directed-cow",
        "",
        "the parent owns the page, so its store keeps the frame, and child and grandchild get"
        " copies",
    ),
    expect(
        "redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-page"
        " torvalds-2009-fork-lock:lookup hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "the first fork copies the held page for the child; what the child shares with the"
        " grandchild nobody holds",
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
        "O_DIRECT pins since a7e689dd1c06, so fork copies for the child, who has nothing pinned to"
        " share (70e806e4e645)",
    ),
    expect(
        "piggin-2009-page:first",
        "refcount-leak",
        "the first form drops one of the two references of the page that the child leaves: a leak"
        " per copy (03-14 04:46, decow_one_pte)",
    ),
)
