"""What is expected of ``lost-read-no-child-write``."""

from uemu.expected import lost_read
from uemu.expected.cell import as_in, expect

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
        "torvalds-2009-page-count",
        "fork-blocked",
        "fork waits until the read is over (directio_sem, 03-16 16:01); then there is"
        " nothing left to lose",
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
        "linux-5.19",
        "dma-write-seen-by-other lost-dma-write",
        "a page with a get is shared and not exclusive, so the parent's store copies and the"
        " child keeps the frame (ground truth a1 on 6.1)",
    ),
    *as_in(
        lost_read.EXPECTED,
        "redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-page-multiple arcangeli-2009-v2"
        " piggin-2009-page piggin-2009-vma torvalds-2009-fork-lock:lookup"
        " hildenbrand-2021-model1 hildenbrand-2021-model2 linux-6.5 piggin-2009-page:first",
    ),
)
