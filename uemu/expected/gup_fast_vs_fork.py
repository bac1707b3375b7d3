"""What is expected of ``gup-fast-vs-fork``."""

from uemu.expected import lost_read
from uemu.expected.cell import as_in, expect

EXPECTED = (
    expect(
        "linux-2.6.29",
        "dma-write-seen-by-other lost-dma-write",
        "told in order it is the lost read: the forking thread's own store finds mapcount 2",
    ),
    expect(
        "piggin-2009-one-reader",
        "",
        "told in order fork shares the held page, and the store of the first owner copies for the"
        " child",
    ),
    expect(
        "linux-2.6.7",
        "dma-write-seen-by-other lost-dma-write",
        "there is no gup-fast, and told in order it is the lost read: page_count is 3",
    ),
    expect(
        "linux-2.4-dio-pglock",
        "dma-write-seen-by-other lost-dma-write",
        "there is no gup-fast, and told in order it is the lost read: the page is locked",
    ),
    expect(
        "torvalds-2009-directed-cow",
        "",
        "told in order fork shares the held page, and the store of the first owner copies for the"
        " child (03-11 19:01)",
    ),
    expect(
        "redhat-2.6.18",
        "",
        "there is no gup-fast: gup and fork exclude each other by mmap_sem, and told in order"
        " fork finds the reference and copies",
    ),
    expect(
        "arcangeli-2009-v1",
        "",
        "told in order PG_gup is set before fork looks, and in the others gup-fast looks again",
    ),
    expect(
        "arcangeli-2009-v2",
        "",
        "told in order PG_gup is set before fork looks; the race needs other orders",
    ),
    expect(
        "piggin-2009-page",
        "",
        "the page is not marked, so gup takes mmap_sem, and fork sees all of it or nothing",
    ),
    expect(
        "torvalds-2009-page-count",
        "fork-blocked",
        "told in order fork waits for the read (directio_sem), and stores when it is over",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "dma-write-seen-by-other lost-dma-write",
        "told in order it is the lost read: the forking thread stores to byte 0, which the range"
        " rounded up does not have",
    ),
    expect(
        "kosaki-2009-dont-unmap",
        "dma-write-seen-by-other lost-dma-write",
        "told in order it is the lost read: the forking thread's store finds mapcount 2",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock kosaki-2009-directio-sem"
        " kosaki-2009-pinned-sem",
        "fork-blocked",
        "told in order fork finds the lock taken, and in every other order, too, gup-fast and"
        " fork exclude each other by it",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup",
        "",
        "told in order the page is marked before fork looks; gup-fast and fork exclude each"
        " other by the lock, which stands for the second look and the barriers",
    ),
    expect(
        "linux-4.19",
        "dma-write-seen-by-other lost-dma-write",
        "told in order it is the lost read: the forking thread's store finds mapcount 2",
    ),
    expect(
        "linux-5.8",
        "dma-write-seen-by-other lost-dma-write",
        "told in order it is the lost read: mapcount is 2",
    ),
    expect(
        "linux-5.9",
        "dma-write-seen-by-other lost-dma-write",
        "told in order it is the lost read: page_count is 3",
    ),
    expect(
        "linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "dma-write-seen-by-other lost-dma-write",
        "told in order it is the lost read: O_DIRECT gets, and page_count is 3",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "told in order fork finds the bit and the reference, and copies; the race with gup-fast"
        " needs other orders",
    ),
    expect(
        "linux-5.19",
        "dma-write-seen-by-other lost-dma-write",
        "told in order it is the lost read: shared, and page_count is 3",
    ),
    *as_in(
        lost_read.EXPECTED,
        "arcangeli-2009-page-multiple piggin-2009-vma linux-6.5 piggin-2009-page:first",
    ),
)
