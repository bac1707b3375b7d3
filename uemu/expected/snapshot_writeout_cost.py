"""What is expected of ``snapshot-writeout-cost``: that nothing goes wrong, and why not."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 linux-2.6.29 linux-4.19 redhat-2.6.18"
        " arcangeli-2009-page-multiple arcangeli-2009-v1 torvalds-2009-directed-cow"
        " kosaki-2009-dont-unmap piggin-2009-one-reader",
        "",
        "a read gup takes the shared frames, and nobody stores: nothing is copied",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock torvalds-2009-page-count"
        " kosaki-2009-directio-sem kamezawa-2009-dio-lock",
        "",
        "a read gup takes the shared frames; the lock is the child's own, who does not fork",
    ),
    expect(
        "arcangeli-2009-v2 piggin-2009-page",
        "",
        "the child's gup breaks COW of every page to read it: safe, and a copy for each",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "the child's first gup un-COWs every page of the area, and decow_one_pte drops one of two"
        " references that each original loses (03-12 16:23)",
    ),
    expect(
        "kosaki-2009-pinned-sem",
        "",
        'safe, and a copy for each: "now the v2 thing breaks COW on all the pages" (Torvalds 03-23'
        " 16:46)",
    ),
    expect(
        "linux-5.8",
        "",
        "the forced break copies every page for the child (17839856fd58)",
    ),
    expect(
        "linux-5.9 linux-5.11 linux-5.19 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned"
        " hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "O_DIRECT gets, and a get to read takes the shared frames: nothing is copied",
    ),
    expect(
        "linux-6.5",
        "",
        "O_DIRECT pins, and a read-only pin of a page that is not exclusive unshares it: a copy for"
        " each, as in the proposals of 2009 (a7f226604170, a7e689dd1c06)",
    ),
)
