"""What is expected of ``thp-child-exits-first``."""

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
        "",
        "one entry maps the huge page again, so that it is reused whole (ground truth t2 on 4.19)",
    ),
    expect(
        "linux-5.8",
        "",
        "one entry maps the huge page again, so that it is reused whole, as in 4.19",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "",
        "of a huge page the mapcounts are asked, and not page_count as of a small one: it is"
        " reused whole (ground truth t2 on 5.10; a2 is lost there)",
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
        "fork took the head's bit away for ever, and page_count is above 1: the store splits"
        " the entry and copies the page (ground truth t2 on 6.1)",
    ),
    expect(
        "linux-6.5",
        "",
        "O_DIRECT pins, so fork splits the entry and copies every page for the child (ground"
        " truth t2 on 6.18)",
    ),
)
