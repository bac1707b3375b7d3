"""What is expected of ``forkscrew``."""

from uemu.expected import lost_read_aligned
from uemu.expected.cell import as_in, expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock",
        "",
        "2.4 has no AIO",
    ),
    expect(
        "linux-2.6.7",
        "dma-write-seen-by-other lost-dma-write",
        "page_count is 3 in the middle page: the second read's write fault copies, and the child"
        " keeps the frames of the first read",
    ),
    expect(
        "linux-2.6.29 linux-4.19 linux-5.8",
        "dma-write-seen-by-other lost-dma-write",
        "mapcount is 2 in the middle page, so the second read's write fault moves the parent off"
        " the frame of the first; the child keeps it, and the first page, too (forkscrew.c)",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned linux-5.19",
        "dma-write-seen-by-other lost-dma-write",
        "O_DIRECT gets, so fork shares; page_count is 3 in the middle page, and the second read's"
        " write fault copies",
    ),
    expect(
        "torvalds-2009-mmap-sem:direct-io-call torvalds-2009-page-count kosaki-2009-directio-sem",
        "dma-write-seen-by-other lost-dma-write",
        "the lock is given back when io_submit() returns, long before the transfer is over, so"
        " fork does not wait (03-16 18:37, 03-17 00:56)",
    ),
    expect(
        "kosaki-2009-dont-unmap",
        "dma-write-seen-by-other lost-dma-write",
        "count + page_count is not 2, so the second read's write fault copies, and the child keeps"
        " the frames of the first read",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock kosaki-2009-pinned-sem",
        "fork-blocked",
        "the lock is held until the transfer is over, for AIO, too, so fork waits for the first"
        " read",
    ),
    expect(
        "piggin-2009-one-reader torvalds-2009-directed-cow",
        "dma-write-seen-by-other",
        "the parent owns the pages and keeps their frames when its second read breaks COW; nobody"
        " stores to the first page, which the child shares",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "deadlock dma-write-seen-by-other",
        "fork shares; the second read registers a range that begins with its last page, and its"
        " own COW fault is retried until that I/O is over (03-16 23:59, mm_cow_start); the child,"
        " who only looks, sees the first read's bytes",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "the buffers are not page-aligned: EINVAL, so no device is there; read() stores the bytes"
        " (03-11 18:37)",
    ),
    *as_in(
        lost_read_aligned.EXPECTED,
        "redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-page"
        " torvalds-2009-fork-lock:lookup hildenbrand-2021-model1 hildenbrand-2021-model2"
        " piggin-2009-vma linux-6.5 piggin-2009-page:first",
    ),
)
