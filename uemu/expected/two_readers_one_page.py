"""What is expected of ``two-readers-one-page``."""

from uemu.expected import lost_read
from uemu.expected.cell import as_in, expect

EXPECTED = (
    expect(
        "linux-2.6.29",
        "dma-write-seen-by-other lost-dma-write",
        "the second reader's gup takes a write fault, mapcount is 2, the parent moves to a copy"
        " and the child keeps the first reader's frame (dma_thread.c)",
    ),
    expect(
        "piggin-2009-one-reader",
        "",
        "the second reader's gup takes a write fault of the first owner: the child gets the copy"
        " and both readers have one frame",
    ),
    expect(
        "linux-2.6.7",
        "dma-write-seen-by-other lost-dma-write",
        "the second reader's gup takes a write fault, page_count is 3, and the parent moves to a"
        " copy",
    ),
    expect(
        "linux-2.4-dio-pglock",
        "dma-write-seen-by-other lost-dma-write",
        "the second reader's gup takes a write fault and copies, for the first has the page"
        " locked; so it has another page and does not even wait",
    ),
    expect(
        "torvalds-2009-directed-cow",
        "",
        "the second reader's gup takes a write fault of the first owner: the child gets the copy"
        " and both readers have one frame (03-11 19:01)",
    ),
    expect(
        "redhat-2.6.18",
        "",
        "fork copied for the child and gave the parent's entry its write bit back, so the"
        " second reader finds the same frame",
    ),
    expect(
        "arcangeli-2009-v1",
        "",
        "the first reader's page was marked and held when fork came: copied for the child, and"
        " made writable again before the second reader looks",
    ),
    expect(
        "arcangeli-2009-v2",
        "",
        "fork copied for the child and left the parent's entry writable, so the second reader"
        " finds the same frame",
    ),
    expect(
        "piggin-2009-page",
        "",
        "the child has its copy, so the second reader's write fault finds mapcount 1 and reuses"
        " the frame that the first one holds",
    ),
    expect(
        "torvalds-2009-page-count",
        "fork-blocked",
        "fork waits for the first read, and the second, which comes after fork, waits for fork"
        " (a queued writer); then its gup breaks COW of a page that no device writes any more",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "deadlock dma-write-seen-by-other",
        "the second reader registers its range and then has to break COW there: its own fault is"
        " retried for its own I/O for ever; the child sees the first reader's bytes meanwhile",
    ),
    expect(
        "kosaki-2009-dont-unmap",
        "dma-write-seen-by-other lost-dma-write",
        "the second reader's gup takes a write fault, mapcount is 2, the parent moves to a copy and"
        " the child keeps the first reader's frame, as in 2.6.29",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock kosaki-2009-directio-sem"
        " kosaki-2009-pinned-sem",
        "fork-blocked",
        "fork waits for the first reader, and the second one, who asks for the lock when fork"
        " is queued, waits for fork",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup",
        "",
        "fork copied for the child and made the parent's entry writable again, so the second"
        " reader finds the same frame",
    ),
    expect(
        "linux-4.19",
        "dma-write-seen-by-other lost-dma-write",
        "the second reader's gup takes a write fault, mapcount is 2, and the parent moves to a"
        " copy (dma_thread aborts on real 4.19)",
    ),
    expect(
        "linux-5.8",
        "dma-write-seen-by-other lost-dma-write",
        "the second reader's gup was a write gup anyway: its fault finds mapcount 2 and copies"
        " (dma_thread aborts on real 5.8)",
    ),
    expect(
        "linux-5.9",
        "dma-write-seen-by-other lost-dma-write",
        "the second reader's write fault finds page_count 3 and copies; the child still maps"
        " the first reader's frame (dma_thread aborts on real 5.9)",
    ),
    expect(
        "linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "dma-write-seen-by-other lost-dma-write",
        "the second reader's write fault finds page_count 3 and copies (dma_thread aborts on"
        " real 5.10)",
    ),
    expect(
        "linux-5.19",
        "dma-write-seen-by-other lost-dma-write",
        "the page was shared for a get is all there was, so the second reader's write fault"
        " copies (dma_thread aborts on real 5.19)",
    ),
    *as_in(
        lost_read.EXPECTED,
        "arcangeli-2009-page-multiple piggin-2009-vma hildenbrand-2021-model1"
        " hildenbrand-2021-model2 linux-6.5 piggin-2009-page:first",
    ),
)
