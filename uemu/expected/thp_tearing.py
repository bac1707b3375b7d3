"""What is expected of ``thp-tearing``."""

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
        "linux-4.19 linux-5.8",
        "",
        "fork copies nothing; the store that follows leaves the frame, but the device does"
        " not look",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned"
        " hildenbrand-2021-model1 hildenbrand-2021-model2 linux-5.19 linux-6.5",
        "",
        "told in order fork splits the entry and copies its pages while nobody stores; in the"
        " others nothing keeps the parent from storing",
    ),
)
