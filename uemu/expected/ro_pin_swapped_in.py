"""What is expected of ``ro-pin-swapped-in``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.6.29 redhat-2.6.18 arcangeli-2009-page-multiple arcangeli-2009-v1"
        " arcangeli-2009-v2 piggin-2009-vma piggin-2009-page piggin-2009-one-reader"
        " torvalds-2009-mmap-sem torvalds-2009-fork-lock torvalds-2009-directed-cow"
        " kosaki-2009-directio-sem kosaki-2009-pinned-sem kamezawa-2009-dio-lock linux-4.19",
        "",
        "the store finds mapcount 1 and no other entry of the slot, and reuses the page that the"
        " device reads (reuse_swap_page)",
    ),
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 torvalds-2009-page-count kosaki-2009-dont-unmap",
        "stale-dma-read",
        "the read fault maps the page read-only, and page_count makes the store copy; what is not"
        " direct I/O has no lock on it either",
    ),
    expect(
        "torvalds-2009-page-count:no-swapcache",
        "",
        "as it is written it refuses every page the swap cache (03-17 18:09)",
    ),
    expect(
        "linux-5.8",
        "",
        "what gup holds of a COW mapping it takes a write fault for (17839856fd58)",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "stale-dma-read",
        "nobody had pinned it when it was swapped out, and do_wp_page copies while page_count is"
        " above 1",
    ),
    expect(
        "hildenbrand-2021-model1",
        "",
        "the swap entry remembers that the page is exclusive, and what is exclusive is reused",
    ),
    expect(
        "hildenbrand-2021-model2",
        "stale-dma-read",
        "the bit was lost in swap-out, and gup cannot mark a page that is mapped read-only while"
        " the swap cache refers to it, too: so nobody has it exclusive when the store comes",
    ),
    expect(
        "linux-5.19 linux-6.5",
        "",
        "the swap entry is exclusive, so the page is again when the read fault maps it",
    ),
)
