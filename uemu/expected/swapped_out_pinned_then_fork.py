"""What is expected of ``swapped-out-pinned-then-fork``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.6.29 redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-page"
        " piggin-2009-one-reader linux-4.19 linux-5.8",
        "lost-dma-write",
        "fork shares a swap entry unexamined; the parent's store finds two who name the slot, and"
        " copies",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "the area's other page is copied for the child, and decow_one_pte drops one of its two"
        " references (03-12 16:23)",
    ),
    expect(
        "torvalds-2009-directed-cow",
        "lost-dma-write",
        "the child has no PTE that a walk of the rmap chain could find, so the parent's store"
        " copies, as ever",
    ),
    expect(
        "kamezawa-2009-dio-lock",
        "lost-dma-write",
        "the range that is registered begins at PAGE_ALIGN(start), and the store to byte 0 of the"
        " page is not in it: mm_cow_start() lets the copy be made (03-16 23:59)",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "less than a page is read through the page cache: there is no reference",
    ),
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 kosaki-2009-dont-unmap",
        "lost-dma-write dma-write-seen-by-other",
        "the held page stays mapped, so fork shares it; the parent's store leaves it and the"
        " child keeps the frame that the device writes",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock torvalds-2009-page-count"
        " kosaki-2009-directio-sem kosaki-2009-pinned-sem",
        "fork-blocked",
        "fork waits until the read is complete, whatever reclaim does",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "lost-dma-write",
        "a get is unmapped and its swap entry shared; the parent's store finds other references"
        " and copies",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2 linux-5.19",
        "lost-dma-write",
        "fork takes exclusive from the swap entry and looks for no reference behind it, so the"
        " parent's store copies (copy_nonpresent_pte)",
    ),
    expect(
        "linux-6.5",
        "",
        "O_DIRECT pins: the page is not swapped out, and fork copies it for the child",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup",
        "lost-dma-write",
        "the lock was held over the lookup only, and fork shares the swap entry unexamined, flag or"
        " not; the parent's store finds two who name the slot, and copies",
    ),
)
