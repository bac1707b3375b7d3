"""What is expected of ``lost-read-no-child-write``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.6.29",
        "dma-write-seen-by-other lost-dma-write",
        "the child's PTE counts although it touches nothing: mapcount is 2, the parent's store"
        " copies (Arcangeli 03-11 18:37; ground truth a1 on 4.19)",
    ),
    expect(
        "piggin-2009-one-reader",
        "",
        "the parent is the first owner, and no reader is recorded: its store copies for the child",
    ),
    expect(
        "linux-2.6.7",
        "dma-write-seen-by-other lost-dma-write",
        "page_count is 3, so the parent's store copies and the child keeps the frame",
    ),
    expect(
        "linux-2.4-dio-pglock",
        "dma-write-seen-by-other lost-dma-write",
        "TryLockPage fails, so the parent's store copies and the child keeps the frame",
    ),
    expect(
        "torvalds-2009-directed-cow",
        "",
        "the parent is the first owner: its store copies for the child, which touches nothing"
        " (03-11 19:01)",
    ),
    expect(
        "redhat-2.6.18",
        "",
        "fork finds page_count above mapcount, under mmap_sem, and copies for the child (19:15)",
    ),
    expect(
        "arcangeli-2009-v1",
        "",
        "fork finds PG_gup and more references than PTEs: it copies for the child (v1, 03-11)",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "512 bytes are EINVAL, so no device is there; read() stores the bytes (03-11 18:37)",
    ),
    expect(
        "arcangeli-2009-v2",
        "",
        "fork finds PG_gup and more references than PTEs: it copies for the child (v2, 03-16)",
    ),
    expect(
        "piggin-2009-page",
        "",
        "gup marked the page PG_dontcow, so fork copies for the child; the parent reuses",
    ),
    expect(
        "torvalds-2009-page-count",
        "fork-blocked",
        "fork waits until the read is over (directio_sem, 03-16 16:01); then there is"
        " nothing left to lose",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "fork copies every page of the area for the child, and decow_one_pte drops one of the two"
        " references that each original loses (03-12 16:23)",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "dma-write-seen-by-other lost-dma-write",
        "a store to byte 0 does not meet the range that PAGE_ALIGN rounded up, so it copies; the"
        " child keeps the frame",
    ),
    expect(
        "kosaki-2009-dont-unmap",
        "dma-write-seen-by-other lost-dma-write",
        "fork shares what is held and mapcount is 2, so the parent's store copies; the child keeps"
        " the frame the device writes, as in 2.6.29",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock kosaki-2009-directio-sem"
        " kosaki-2009-pinned-sem",
        "fork-blocked",
        "fork waits for the disk, so that the page it shares is nobody's buffer any more",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup",
        "",
        "gup marks the page while it has the lock, so fork finds PG_gup and more references"
        " than PTEs, and copies for the child without a wait (03-16 16:32)",
    ),
    expect(
        "linux-4.19",
        "dma-write-seen-by-other lost-dma-write",
        "mapcount is 2, so the parent's store copies and the child keeps the frame the device"
        " writes (ground truth a1 on 4.19)",
    ),
    expect(
        "linux-5.8",
        "dma-write-seen-by-other lost-dma-write",
        "fork shares, as before 70e806e4e645, and mapcount 2 makes the parent's store copy; the"
        " child keeps the frame",
    ),
    expect(
        "linux-5.9",
        "dma-write-seen-by-other lost-dma-write",
        "page_count is 3, so the parent's store copies and the child keeps mapping the frame"
        " the device writes (ground truth a1 on 5.10)",
    ),
    expect(
        "linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "dma-write-seen-by-other lost-dma-write",
        "page_count is 3, so the parent's store copies; the child keeps the frame (ground truth"
        " a1 on 5.10)",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "fork finds the bit and a reference beside the entry's, a get or a pin, and copies for the"
        " child (document 000)",
    ),
    expect(
        "linux-5.19",
        "dma-write-seen-by-other lost-dma-write",
        "a page with a get is shared and not exclusive, so the parent's store copies and the"
        " child keeps the frame (ground truth a1 on 6.1)",
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
