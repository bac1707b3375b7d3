"""What is expected of ``child-corrupted``."""

from uemu.expected import lost_read
from uemu.expected.cell import as_in, expect

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
        "torvalds-2009-page-count",
        "fork-blocked",
        "fork waits until the read is over (directio_sem, 03-16 16:01), so the child"
        " has the device's bytes as anything else the parent read before",
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
        "linux-5.19",
        "dma-write-seen-by-other",
        "fork copies for pins only and O_DIRECT gets (ground truth a0 on 6.1)",
    ),
    *as_in(
        lost_read.EXPECTED,
        "redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-page-multiple arcangeli-2009-v2"
        " piggin-2009-page piggin-2009-vma torvalds-2009-fork-lock:lookup"
        " hildenbrand-2021-model1 hildenbrand-2021-model2 linux-6.5 piggin-2009-page:first",
    ),
)
