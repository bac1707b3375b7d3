"""What is expected of ``hugetlb-child-exits-first``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7",
        "",
        "a private mapping of hugetlb is copied on write since v2.6.16 (1e8f889b10d8)",
    ),
    expect(
        "linux-2.6.29 redhat-2.6.18 piggin-2009-one-reader torvalds-2009-directed-cow"
        " kosaki-2009-dont-unmap kamezawa-2009-dio-lock",
        "lost-dma-write",
        "nobody shares the page any more, but hugetlb_cow() asks page_count, and the device's get"
        " makes it 2: the parent copies",
    ),
    expect(
        "piggin-2009-page piggin-2009-vma",
        "lost-dma-write",
        "gup-fast takes the huge page and fork leaves it alone, as in 2.6.29; the device's get"
        " makes page_count 2, so the parent copies",
    ),
    expect(
        "arcangeli-2009-v1 arcangeli-2009-v2 torvalds-2009-fork-lock:lookup",
        "",
        "fork finds PG_gup on the head, copies for the child and makes the parent's entry writable"
        " again (03-16 13:56)",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "512 bytes are EINVAL, so no device is there; read() stores the bytes (03-11 18:37)",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock torvalds-2009-page-count"
        " kosaki-2009-directio-sem kosaki-2009-pinned-sem",
        "fork-blocked",
        "fork waits for the disk, so there is no child before the read is over",
    ),
    expect(
        "linux-4.19 linux-5.8 linux-5.9 linux-5.11 hubbard-2021-locked-pages"
        " kara-2021-unmap-if-not-pinned hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "mapcount is 1 again when the parent stores, and hugetlb_cow() asks for nothing else"
        " (ground truth h2 on 4.19 and 5.10)",
    ),
    expect(
        "linux-5.19",
        "",
        "fork took PG_anon_exclusive away, but hugetlb_cow() asks the mapcount, finds 1 and gives"
        " it back (ground truth h2 on 6.1)",
    ),
    expect(
        "linux-6.5",
        "",
        "O_DIRECT pins since a7e689dd1c06, so fork copies the huge page for the child"
        " (4eae4efa2c29)",
    ),
)
