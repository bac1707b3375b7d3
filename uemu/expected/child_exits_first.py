"""What is expected of ``child-exits-first``."""

from uemu.expected import lost_read
from uemu.expected.cell import as_in, expect

EXPECTED = (
    expect(
        "linux-2.6.29",
        "",
        "mapcount is 1 again when the parent stores, so it reuses the frame (ground truth a2 on"
        " 4.19)",
    ),
    expect(
        "piggin-2009-one-reader",
        "",
        "mapcount is 1 again and nobody is recorded, so the parent reuses the frame",
    ),
    expect(
        "linux-2.6.7",
        "lost-dma-write",
        "page_count is 2 although nobody shares: the device's get makes the parent copy",
    ),
    expect(
        "linux-2.4-dio-pglock",
        "lost-dma-write",
        "nobody shares the page, but the device has it locked, so the parent copies",
    ),
    expect(
        "torvalds-2009-directed-cow",
        "",
        "mapcount is 1 again when the parent stores, so it reuses the frame, as in 2.6.29",
    ),
    expect(
        "torvalds-2009-page-count",
        "fork-blocked",
        "fork waits until the read is over (directio_sem, 03-16 16:01), and all the rest"
        " waits for fork",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "",
        "mapcount is 1 again when the parent stores, so there is nothing to copy, as in 2.6.29",
    ),
    expect(
        "kosaki-2009-dont-unmap",
        "lost-dma-write",
        "mapcount is 1 again when the parent stores, but the device's get makes page_count 2 and"
        " the sum 3: the parent copies (004, count + page_count == 2)",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock kosaki-2009-directio-sem"
        " kosaki-2009-pinned-sem",
        "fork-blocked",
        "fork waits for the disk, so there is no child, and nobody who waits for its end,"
        " before the read is over",
    ),
    expect(
        "linux-4.19",
        "",
        "mapcount is 1 again when the parent stores: reuse_swap_page() says yes (ground truth"
        " a2 on 4.19)",
    ),
    expect(
        "linux-5.8",
        "",
        "mapcount is 1 again when the parent stores, as in 2.6.29",
    ),
    expect(
        "linux-5.9",
        "lost-dma-write",
        "page_count is 2 although nobody shares: the device's get makes the parent copy"
        " (09854ba94c6a; ground truth a2 on 5.10)",
    ),
    expect(
        "linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "lost-dma-write",
        "page_count is 2 although nobody shares: the device's get makes the parent copy (ground"
        " truth a2 on 5.10)",
    ),
    expect(
        "linux-5.19",
        "lost-dma-write",
        "fork cleared PG_anon_exclusive for ever, and page_count is 2 (ground truth a2 on 6.1)",
    ),
    *as_in(
        lost_read.EXPECTED,
        "redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-page-multiple arcangeli-2009-v2"
        " piggin-2009-page piggin-2009-vma torvalds-2009-fork-lock:lookup"
        " hildenbrand-2021-model1 hildenbrand-2021-model2 linux-6.5 piggin-2009-page:first",
    ),
)
