"""What is expected of ``ro-pin-then-fork``."""

from uemu.expected import lost_read
from uemu.expected.cell import as_in, expect

EXPECTED = (
    expect(
        "linux-2.6.29",
        "foreign-dma-read",
        "fork shares the held page, the parent's store copies, the child's reuses the frame"
        " that the device reads (ground truth c2 on 4.19)",
    ),
    expect(
        "piggin-2009-one-reader",
        "",
        "the page was not write-protected when gup took it, so nobody is recorded; but the parent"
        " is the first owner and keeps the frame",
    ),
    expect(
        "linux-2.6.7",
        "",
        "fork shares, but page_count keeps the child from reusing the frame that the device reads",
    ),
    expect(
        "linux-2.4-dio-pglock",
        "",
        "fork shares, but the page is locked, so neither store reuses the frame that the device"
        " reads",
    ),
    expect(
        "torvalds-2009-directed-cow",
        "",
        "the parent is the first owner: its store copies for the child and stays in the frame that"
        " the device reads (03-11 19:01)",
    ),
    expect(
        "arcangeli-2009-v1",
        "",
        "PG_gup is set for reads too (19:59, no look at the direction), so fork copies for the"
        " child",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "foreign-dma-read",
        "a whole page is taken as ever, and fork shares it: the parent's store copies, the"
        " child's reuses the frame that the device reads, as in 2.6.29",
    ),
    expect(
        "arcangeli-2009-v2",
        "",
        "PG_gup is set for reads too, so fork copies for the child and the parent keeps its"
        " frame (v2, 03-16 13:56)",
    ),
    expect(
        "piggin-2009-page",
        "",
        "the mark is set for reads too, so fork copies for the child and the parent reuses",
    ),
    expect(
        "torvalds-2009-page-count",
        "fork-blocked",
        "a write holds directio_sem, too, so fork waits until the device has read",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "fork-blocked",
        "the parent's store is retried while the page is under I/O; the child copies, which leaves"
        " the frame to the parent",
    ),
    expect(
        "kosaki-2009-dont-unmap",
        "",
        "fork shares the held page, but page_count keeps the child from reusing the frame (004)",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock kosaki-2009-directio-sem"
        " kosaki-2009-pinned-sem",
        "fork-blocked",
        "the lock is taken for a write to the disk, too, and fork waits until it is over",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup",
        "",
        "PG_gup is set for reads too, so fork copies for the child",
    ),
    expect(
        "linux-4.19",
        "foreign-dma-read",
        "fork shares the held page, the parent leaves it, the child finds mapcount 1 and reuses"
        " it (ground truth c2 on 4.19)",
    ),
    expect(
        "linux-5.8",
        "foreign-dma-read",
        "gup before fork finds a writable entry and breaks nothing; then fork shares, the"
        " parent copies, the child reuses the frame the device reads",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "",
        "fork shares, but page_count keeps the child from reusing the frame (ground truth c2 on"
        " 5.10)",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "a reference to read is a reference: fork finds it and the bit, and copies for the child"
        " (document 000)",
    ),
    expect(
        "linux-5.19",
        "",
        "fork clears PG_anon_exclusive and shares, but page_count keeps the child from taking"
        " the frame over (ground truth c2 on 6.1)",
    ),
    *as_in(
        lost_read.EXPECTED,
        "redhat-2.6.18 piggin-2009-vma linux-6.5 piggin-2009-page:first",
    ),
)
