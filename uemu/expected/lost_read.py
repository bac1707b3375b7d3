"""What is expected of ``lost-read``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.6.29",
        "dma-write-seen-by-other lost-dma-write",
        "mapcount is 2, so the parent's store copies; the child's store then finds mapcount 1"
        " and takes over the frame the device writes (ground truth b3 on 4.19)",
    ),
    expect(
        "piggin-2009-one-reader",
        "",
        "nobody reads the page by gup, so the parent as first owner keeps the frame when it stores",
    ),
    expect(
        "linux-2.6.7",
        "lost-dma-write",
        "page_count is 3 and then 2 (can_share_swap_page), so both stores copy and nobody maps the"
        " frame that the device writes",
    ),
    expect(
        "linux-2.4-dio-pglock",
        "lost-dma-write",
        "the page is locked until end_io, so both stores copy (TryLockPage in do_wp_page), and"
        " nobody maps the frame that the device writes",
    ),
    expect(
        "torvalds-2009-directed-cow",
        "",
        "the parent is the first owner, so its store keeps the frame and copies for the child,"
        " whose own store then finds mapcount 1 (03-11 19:01)",
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
        "fork waits until the read is over (directio_sem, 03-16 16:01), so it shares no page"
        " under I/O and everybody's store comes after the device",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "fork copies every page of the area for the child, and decow_one_pte drops one of the two"
        " references that each original loses (03-12 16:23)",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "dma-write-seen-by-other lost-dma-write",
        "PAGE_ALIGN rounds up: a buffer at the end of a page registers the pages behind it, and"
        " a store to byte 0 meets none of them; so it copies, and the rest is 2.6.29",
    ),
    expect(
        "kosaki-2009-dont-unmap",
        "lost-dma-write",
        "fork shares what is held; the parent's store finds mapcount 2, the child's finds mapcount"
        " 1 but page_count 2, so both copy and nobody maps the frame (004, reuse_swap_page)",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock kosaki-2009-directio-sem"
        " kosaki-2009-pinned-sem",
        "fork-blocked",
        "the reader holds the lock from before its gup until the transfer is over, so fork"
        " waits for the disk, and then nobody holds anything",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup",
        "",
        "gup marks the page while it has the lock, so fork finds PG_gup and more references"
        " than PTEs, and copies for the child without a wait (03-16 16:32)",
    ),
    expect(
        "linux-4.19",
        "dma-write-seen-by-other lost-dma-write",
        "the rule of 2.6.29: the parent's store copies at mapcount 2, the child's takes over"
        " the device's frame at mapcount 1 (ground truth b3 on 4.19)",
    ),
    expect(
        "linux-5.8",
        "dma-write-seen-by-other lost-dma-write",
        "the reference came before fork, so nothing forced is left to do: mapcount 2 copies for"
        " the parent, mapcount 1 gives the frame to the child",
    ),
    expect(
        "linux-5.9",
        "lost-dma-write",
        "O_DIRECT only gets, so fork shares; page_count is 3 and then 2, so both stores copy"
        " and nobody maps the frame any more (09854ba94c6a; ground truth b3 on 5.10)",
    ),
    expect(
        "linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "lost-dma-write",
        "O_DIRECT gets, which neither fork nor write_protect_seq asks after; page_count is 3"
        " and then 2, so both stores copy (ground truth b3 on 5.10)",
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
        "O_DIRECT only gets, so fork clears PG_anon_exclusive and shares; both stores find"
        " page_count above 1 and copy (ground truth b3 on 6.1)",
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
