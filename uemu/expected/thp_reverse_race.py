"""What is expected of ``thp-reverse-race``."""

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
        "foreign-dma-read",
        "gup_huge_pmd takes a read-only entry to read; the parent's store copies the whole"
        " huge page, and the child, alone on the old one, reuses it",
    ),
    expect(
        "linux-5.8",
        "",
        "gup after fork: the read gup takes a write fault first, which splits the parent's"
        " entry and copies the page, so the parent holds one of its own (17839856fd58)",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "",
        "both stores split and copy, for the parts that nobody stored to are still shared,"
        " and page_count is above 1; the device reads old bytes",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "fork took the head's bit away when it shared, and page_count is above 1 at both"
        " stores: both split and copy",
    ),
    expect(
        "linux-5.19",
        "",
        "a get does not unshare, but the huge page is not exclusive and page_count is above"
        " 1, so both stores split and copy",
    ),
    expect(
        "linux-6.5",
        "",
        "a read-only pin of a huge page that is not exclusive unshares first: the parent's"
        " entry is split and the page copied, so the device reads the parent's bytes"
        " (a7f226604170)",
    ),
)
