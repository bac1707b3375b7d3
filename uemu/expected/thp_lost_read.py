"""What is expected of ``thp-lost-read``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 linux-2.6.29 redhat-2.6.18 arcangeli-2009-page-multiple"
        " arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-vma piggin-2009-page"
        " piggin-2009-one-reader torvalds-2009-mmap-sem torvalds-2009-fork-lock"
        " torvalds-2009-directed-cow torvalds-2009-page-count kosaki-2009-directio-sem"
        " kosaki-2009-pinned-sem kamezawa-2009-dio-lock kosaki-2009-dont-unmap",
        "",
        "there are no transparent huge pages before v2.6.38",
    ),
    expect(
        "linux-4.19",
        "dma-write-seen-by-other lost-dma-write",
        "two entries map the huge page, so the parent's store copies all of it; the child's"
        " finds itself alone and reuses it (do_huge_pmd_wp_page, reuse_swap_page)",
    ),
    expect(
        "linux-5.8",
        "lost-dma-write",
        "the parent's store splits its entry and copies one page; the others are mapped by"
        " two still, and the most mapped part counts, so the child copies, too"
        " (page_trans_huge_mapcount)",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "lost-dma-write",
        "as 5.8, and what is split has a page_count above 1 for as long as two entries map"
        " any part of it: both copy one page, and nobody maps the frame",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "fork finds the head exclusive and referred to, splits the entry, and copies every"
        " page for the child",
    ),
    expect(
        "linux-5.19",
        "lost-dma-write",
        "O_DIRECT only gets, so fork takes the head's bit away and shares; page_count is"
        " above 1 at both stores, so both split and copy (ground truth t1 on 6.1)",
    ),
    expect(
        "linux-6.5",
        "",
        "O_DIRECT pins, so fork splits the entry and copies every page for the child (ground"
        " truth t1 on 6.18)",
    ),
)
