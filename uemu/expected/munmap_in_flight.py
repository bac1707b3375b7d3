"""What is expected of ``munmap-in-flight``."""

from uemu.expected import lost_read_aligned
from uemu.expected.cell import as_in, expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 linux-2.6.29 kamezawa-2009-dio-lock"
        " kosaki-2009-dont-unmap linux-4.19 linux-5.8",
        "dma-write-seen-by-other",
        "fork shares the held page, and when its owner has unmapped it the child has the frame"
        " that the device writes (Torvalds 03-11 20:19)",
    ),
    expect(
        "piggin-2009-one-reader torvalds-2009-directed-cow",
        "dma-write-seen-by-other",
        "nobody stores, so no COW is directed anywhere: the owner unmaps, and the child has the"
        " frame (Torvalds 03-11 20:19, of his own proposal)",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned linux-5.19",
        "dma-write-seen-by-other",
        "fork copies for pins only and O_DIRECT gets, so the child has the frame when its owner"
        " has unmapped it",
    ),
    expect(
        "redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-page"
        " torvalds-2009-fork-lock:lookup hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "fork finds the page held, marked or with more references than PTEs, and copies it for the"
        " child: the frame that nobody maps any more is the device's alone",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "512 bytes are EINVAL, so no device is there; read() finds the buffer unmapped (03-11"
        " 18:37)",
    ),
    *as_in(
        lost_read_aligned.EXPECTED,
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock torvalds-2009-page-count"
        " kosaki-2009-directio-sem kosaki-2009-pinned-sem piggin-2009-vma linux-6.5"
        " piggin-2009-page:first",
    ),
)
