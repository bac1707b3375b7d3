"""What is expected of ``child-corrupted``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.6.29",
        "dma-write-seen-by-other",
        "fork shares whatever a device does, and nobody stores: parent and child both see the"
        " device's bytes (Arcangeli 03-11 18:37; ground truth a0 on 4.19)",
    ),
    expect(
        "piggin-2009-one-reader",
        "dma-write-seen-by-other",
        "COW is never broken, in no direction, for nobody stores: fork shares whatever a device"
        " does",
    ),
    expect(
        "linux-2.6.7",
        "dma-write-seen-by-other",
        "copy_page_range shares whatever a device does, and nobody stores",
    ),
    expect(
        "linux-2.4-dio-pglock",
        "dma-write-seen-by-other",
        "copy_page_range does not ask for PG_locked, and nobody stores",
    ),
    expect(
        "torvalds-2009-directed-cow",
        "dma-write-seen-by-other",
        "COW is never broken, in no direction, for nobody stores: fork shares whatever a device"
        " does",
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
        "fork waits until the read is over (directio_sem, 03-16 16:01), so the child"
        " has the device's bytes as anything else the parent read before",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "fork copies every page of the area for the child, and decow_one_pte drops one of the two"
        " references that each original loses (03-12 16:23)",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "dma-write-seen-by-other",
        "fork is left alone and shares whatever a device does; nobody stores, so no COW waits",
    ),
    expect(
        "kosaki-2009-dont-unmap",
        "dma-write-seen-by-other",
        "the patch leaves fork alone, which shares whatever a device does; nobody stores",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock kosaki-2009-directio-sem"
        " kosaki-2009-pinned-sem",
        "fork-blocked",
        "the device has written when fork may go on; the child's page holds its bytes because"
        " the parent's did",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup",
        "",
        "gup marks the page while it has the lock, so fork finds PG_gup and more references"
        " than PTEs, and copies for the child without a wait (03-16 16:32)",
    ),
    expect(
        "linux-4.19",
        "dma-write-seen-by-other",
        "copy_one_pte shares whatever a device does (ground truth a0 on 4.19)",
    ),
    expect(
        "linux-5.8",
        "dma-write-seen-by-other",
        "fork looks at no reference before v5.9, and nobody stores",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "dma-write-seen-by-other",
        "fork copies for pins only and O_DIRECT gets (ground truth a0 on 5.10)",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "fork finds the bit and a reference beside the entry's, a get or a pin, and copies for the"
        " child (document 000)",
    ),
    expect(
        "linux-5.19",
        "dma-write-seen-by-other",
        "fork copies for pins only and O_DIRECT gets (ground truth a0 on 6.1)",
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
