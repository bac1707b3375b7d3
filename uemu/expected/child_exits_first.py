"""What is expected of ``child-exits-first``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.6.29",
        "",
        "mapcount is 1 again when the parent stores, so it reuses the frame (ground truth a2 on"
        " 4.19)",
    ),
    expect(
        "piggin-2009-one-reader",
        "",
        "mapcount is 1 again and nobody is recorded, so the parent reuses the frame",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "fork copies every page of the area for the child, and decow_one_pte drops one of the two"
        " references that each original loses (03-12 16:23)",
    ),
    expect(
        "linux-2.6.7",
        "lost-dma-write",
        "page_count is 2 although nobody shares: the device's get makes the parent copy",
    ),
    expect(
        "linux-2.4-dio-pglock",
        "lost-dma-write",
        "nobody shares the page, but the device has it locked, so the parent copies",
    ),
    expect(
        "torvalds-2009-directed-cow",
        "",
        "mapcount is 1 again when the parent stores, so it reuses the frame, as in 2.6.29",
    ),
    expect(
        "redhat-2.6.18",
        "",
        "fork finds page_count above mapcount, under mmap_sem, and copies for the child (19:15)",
    ),
    expect(
        "arcangeli-2009-v1",
        "",
        "fork finds PG_gup and more references than PTEs: it copies for the child (v1, 03-11)",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "512 bytes are EINVAL, so no device is there; read() stores the bytes (03-11 18:37)",
    ),
    expect(
        "arcangeli-2009-v2",
        "",
        "fork finds PG_gup and more references than PTEs: it copies for the child (v2, 03-16)",
    ),
    expect(
        "piggin-2009-page",
        "",
        "gup marked the page PG_dontcow, so fork copies for the child; the parent reuses",
    ),
    expect(
        "torvalds-2009-page-count",
        "fork-blocked",
        "fork waits until the read is over (directio_sem, 03-16 16:01), and all the rest"
        " waits for fork",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "",
        "mapcount is 1 again when the parent stores, so there is nothing to copy, as in 2.6.29",
    ),
    expect(
        "kosaki-2009-dont-unmap",
        "lost-dma-write",
        "mapcount is 1 again when the parent stores, but the device's get makes page_count 2 and"
        " the sum 3: the parent copies (004, count + page_count == 2)",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock kosaki-2009-directio-sem"
        " kosaki-2009-pinned-sem",
        "fork-blocked",
        "fork waits for the disk, so there is no child, and nobody who waits for its end,"
        " before the read is over",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup",
        "",
        "gup marks the page while it has the lock, so fork finds PG_gup and more references"
        " than PTEs, and copies for the child without a wait (03-16 16:32)",
    ),
    expect(
        "linux-4.19",
        "",
        "mapcount is 1 again when the parent stores: reuse_swap_page() says yes (ground truth"
        " a2 on 4.19)",
    ),
    expect(
        "linux-5.8",
        "",
        "mapcount is 1 again when the parent stores, as in 2.6.29",
    ),
    expect(
        "linux-5.9",
        "lost-dma-write",
        "page_count is 2 although nobody shares: the device's get makes the parent copy"
        " (09854ba94c6a; ground truth a2 on 5.10)",
    ),
    expect(
        "linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "lost-dma-write",
        "page_count is 2 although nobody shares: the device's get makes the parent copy (ground"
        " truth a2 on 5.10)",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "fork finds the bit and a reference beside the entry's, a get or a pin, and copies for the"
        " child (document 000)",
    ),
    expect(
        "linux-5.19",
        "lost-dma-write",
        "fork cleared PG_anon_exclusive for ever, and page_count is 2 (ground truth a2 on 6.1)",
    ),
    expect(
        "linux-6.5",
        "",
        "O_DIRECT pins since a7e689dd1c06, so fork copies for the child (70e806e4e645)",
    ),
    expect(
        "piggin-2009-page:first",
        "refcount-leak",
        "the first form drops one of the two references of the page that the child leaves: a leak"
        " per copy (03-14 04:46, decow_one_pte)",
    ),
)
