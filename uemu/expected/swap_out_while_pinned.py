"""What is expected of ``swap-out-while-pinned``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.6.29 redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-vma"
        " piggin-2009-page piggin-2009-one-reader torvalds-2009-mmap-sem torvalds-2009-fork-lock"
        " torvalds-2009-directed-cow kosaki-2009-directio-sem kosaki-2009-pinned-sem"
        " kamezawa-2009-dio-lock linux-4.19 linux-5.8",
        "",
        "the store after the load finds mapcount 1 and no other entry of the slot, so it reuses"
        " the cached frame that the device writes (reuse_swap_page; that is what makes these"
        " kernels safe, Arcangeli 03-17 12:19)",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "less than a page is read through the page cache: there is no reference",
    ),
    expect(
        "linux-2.4-dio-pglock",
        "",
        "direct I/O holds PG_locked, and reclaim leaves a locked page alone (03-16 18:28)",
    ),
    expect(
        "linux-2.6.7 kosaki-2009-dont-unmap",
        "",
        "reclaim unmaps no page whose count is above mapcount + 2 (03-16 18:28; document 004)",
    ),
    expect(
        "torvalds-2009-page-count",
        "lost-dma-write",
        "reclaim unmaps the held page, the load maps it read-only, and page_count makes the store"
        " copy (Arcangeli 03-17 12:19)",
    ),
    expect(
        "torvalds-2009-page-count:no-swapcache torvalds-2009-page-count:no-swapcache-fixed",
        "",
        "the held page is not added to the swap cache (03-17 18:09)",
    ),
    expect(
        "torvalds-2009-page-count:referenced",
        "",
        "a held page counts as used lately, and reclaim leaves it mapped (03-17 18:19)",
    ),
    expect(
        "linux-5.9",
        "lost-dma-write",
        "reclaim asks for no reference, and do_wp_page copies while page_count is above 1",
    ),
    expect(
        "linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "lost-dma-write",
        "only pins are kept out of the swap cache, and O_DIRECT gets (ground truth f1 on 5.10)",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "the swap entry remembers that the page is exclusive, and what is exclusive is reused",
    ),
    expect(
        "linux-5.19",
        "",
        "the swap entry is exclusive, so the page is again, and the store reuses it (ground truth"
        " f1 on 6.1)",
    ),
    expect(
        "linux-6.5",
        "",
        "O_DIRECT pins, and what may be pinned is not added to the swap cache (feb889fb40fa)",
    ),
)
