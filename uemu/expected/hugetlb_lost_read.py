"""What is expected of ``hugetlb-lost-read``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7",
        "",
        "a private mapping of hugetlb is copied on write since v2.6.16 (1e8f889b10d8)",
    ),
    expect(
        "linux-2.6.29 piggin-2009-one-reader torvalds-2009-directed-cow kosaki-2009-dont-unmap",
        "lost-dma-write",
        "hugetlb_cow() asks page_count, whatever do_wp_page does: it is 3 and then 2, so both"
        " stores copy and nobody maps the frames that the device writes",
    ),
    expect(
        "redhat-2.6.18",
        "lost-dma-write",
        "copy_hugetlb_page_range asks no count; the patch is said to change copy_one_pte (19:15)."
        " page_count is 3 and then 2, so both stores copy",
    ),
    expect(
        "arcangeli-2009-v1 arcangeli-2009-v2 torvalds-2009-fork-lock:lookup",
        "",
        "fork finds PG_gup on the head and copies for the child (03-16 13:56,"
        " copy_hugetlb_page_range)",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "512 bytes are EINVAL, so no device is there; read() stores the bytes (03-11 18:37)",
    ),
    expect(
        "piggin-2009-page piggin-2009-vma",
        "lost-dma-write",
        "gup_huge_pmd() asks for no mark, so gup-fast takes the page, and fork leaves hugetlb"
        ' alone ("I haven\'t started hugepages"): page_count is 3 and then 2, as in 2.6.29',
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock torvalds-2009-page-count"
        " kosaki-2009-directio-sem kosaki-2009-pinned-sem",
        "fork-blocked",
        "the reader holds the lock from before its gup until the transfer is over, whatever the"
        " pages are, so fork waits for the disk",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "lost-dma-write",
        "mm_cow_start() is given a size for an end, so no huge page meets a registered range; and"
        " page_count is 3 and then 2 (03-16 23:59, mm/hugetlb.c)",
    ),
    expect(
        "linux-4.19 linux-5.8",
        "dma-write-seen-by-other lost-dma-write",
        "hugetlb_cow() asks the mapcount since v2.6.36: the parent's store copies at 2, the"
        " child's takes over the device's frames at 1 (ground truth h1 on 4.19)",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "dma-write-seen-by-other lost-dma-write",
        "do_wp_page asks page_count by now, hugetlb_cow() still the mapcount, and fork copies no"
        " hugetlb before v5.12 (ground truth h1 on 5.10)",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "dma-write-seen-by-other lost-dma-write",
        "the models speak of do_wp_page and of fork's PTEs: hugetlb is 5.11's",
    ),
    expect(
        "linux-5.19",
        "dma-write-seen-by-other lost-dma-write",
        "O_DIRECT only gets, so fork clears PG_anon_exclusive and shares; hugetlb_cow() asks the"
        " mapcount: 2, then 1 (ground truth h1 on 6.1)",
    ),
    expect(
        "linux-6.5",
        "",
        "O_DIRECT pins since a7e689dd1c06, so fork copies the huge page for the child"
        " (4eae4efa2c29)",
    ),
)
