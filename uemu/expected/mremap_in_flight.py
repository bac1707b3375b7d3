"""What is expected of ``mremap-in-flight``."""

from uemu.expected import lost_read_aligned
from uemu.expected.cell import as_in, expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7",
        "dma-write-seen-by-other lost-dma-write",
        "fork shares; page_count is above 1 at the new address as well, so the parent's store"
        " copies",
    ),
    expect(
        "linux-2.6.29 linux-4.19 linux-5.8",
        "dma-write-seen-by-other lost-dma-write",
        "fork shares; mapcount is 2 at the new address as well, so the parent's store copies and"
        " the child keeps the frame",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "dma-write-seen-by-other lost-dma-write",
        "the range is one of addresses, and the parent stores at another; here it did not even"
        " cover the page, for PAGE_ALIGN rounds up",
    ),
    expect(
        "kosaki-2009-dont-unmap",
        "dma-write-seen-by-other lost-dma-write",
        "fork shares, and count + page_count is not 2 at the new address either, so the parent's"
        " store copies",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned linux-5.19",
        "dma-write-seen-by-other lost-dma-write",
        "O_DIRECT only gets, so fork shares; page_count is 3 at the new address as well, and the"
        " parent's store copies",
    ),
    expect(
        "piggin-2009-one-reader torvalds-2009-directed-cow",
        "",
        "the parent owns the page wherever it maps it, so its store keeps the frame and the child"
        " gets the copy",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "512 bytes are EINVAL, so no device is there; read() finds nothing at the old address"
        " (03-11 18:37)",
    ),
    *as_in(
        lost_read_aligned.EXPECTED,
        "redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-page"
        " torvalds-2009-fork-lock:lookup hildenbrand-2021-model1 hildenbrand-2021-model2"
        " torvalds-2009-mmap-sem torvalds-2009-fork-lock torvalds-2009-page-count"
        " kosaki-2009-directio-sem kosaki-2009-pinned-sem piggin-2009-vma linux-6.5"
        " piggin-2009-page:first",
    ),
)
