"""What is expected of ``clear-refs-vs-gup-fast``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 linux-2.6.29 redhat-2.6.18 arcangeli-2009-page-multiple"
        " arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-vma piggin-2009-page"
        " piggin-2009-one-reader torvalds-2009-mmap-sem torvalds-2009-fork-lock"
        " torvalds-2009-directed-cow torvalds-2009-page-count kosaki-2009-directio-sem"
        " kosaki-2009-pinned-sem kamezawa-2009-dio-lock kosaki-2009-dont-unmap",
        "",
        "there are no soft-dirty bits before v3.11",
    ),
    expect(
        "linux-4.19 linux-5.8",
        "",
        "nobody shares the page, so the store finds mapcount 1 and reuses it",
    ),
    expect(
        "linux-5.9",
        "lost-dma-write",
        "clear_refs asks for no pin yet, and the store finds page_count above 1 and copies",
    ),
    expect(
        "linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "",
        "told in order the pin is there first, and clear_refs leaves alone what may be pinned"
        " (9348b73c2e1b; ground truth a4 on 5.10)",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2 linux-5.19 linux-6.5",
        "",
        "the page is exclusive, so the store reuses it (ground truth a4 on 6.1 and 6.18)",
    ),
)
