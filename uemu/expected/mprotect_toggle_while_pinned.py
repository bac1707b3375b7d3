"""What is expected of ``mprotect-toggle-while-pinned``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7",
        "lost-dma-write",
        "the write fault finds page_count 2 and copies, although nobody shares the page",
    ),
    expect(
        "linux-2.6.29 redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-vma"
        " piggin-2009-page torvalds-2009-fork-lock kosaki-2009-directio-sem kosaki-2009-pinned-sem"
        " kamezawa-2009-dio-lock linux-5.8",
        "",
        "mapcount is 1, whoever holds the page, so the store reuses the frame",
    ),
    expect(
        "linux-4.19",
        "",
        "mapcount is 1, so the store reuses the frame (ground truth a3 on 4.19)",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "512 bytes are EINVAL, so no device is there; read() stores the bytes (03-11 18:37)",
    ),
    expect(
        "torvalds-2009-mmap-sem",
        "fork-blocked",
        "the reader holds mmap_sem until read(2) is over, so mprotect waits",
    ),
    expect(
        "torvalds-2009-page-count",
        "lost-dma-write",
        "the lock is fork's alone; page_count is 2, so the write fault copies, although nobody"
        " shares the page (03-17 00:44)",
    ),
    expect(
        "kosaki-2009-dont-unmap",
        "lost-dma-write",
        "count + page_count is 3, so the write fault copies, although nobody shares the page"
        " (reuse_swap_page, 2009-04-19)",
    ),
    expect(
        "piggin-2009-one-reader torvalds-2009-directed-cow",
        "",
        "the parent owns the page, and nobody else maps it",
    ),
    expect(
        "linux-5.9",
        "lost-dma-write",
        "page_count is 2, so the write fault copies (09854ba94c6a)",
    ),
    expect(
        "linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "lost-dma-write",
        "page_count is 2, so the write fault copies (ground truth a3 on 5.10)",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "the bit says that the page is the parent's, and nothing took it away",
    ),
    expect(
        "linux-5.19",
        "",
        "the page is still exclusive, so the write fault reuses it (ground truth a3 on 6.1)",
    ),
    expect(
        "linux-6.5",
        "",
        "the page is still exclusive (ground truth a3 on 6.18)",
    ),
)
