"""What is expected of ``mprotect-fork``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 linux-2.6.29 kamezawa-2009-dio-lock"
        " kosaki-2009-dont-unmap linux-4.19 linux-5.8",
        "dma-write-seen-by-other lost-dma-write",
        "fork shares, as it shares any page; the parent's store then copies, and the child keeps"
        " the frame",
    ),
    expect(
        "redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2",
        "dma-write-seen-by-other lost-dma-write",
        "fork examines only what it has to write-protect: a read-only entry is shared unexamined,"
        " and the parent's store copies (03-16 13:56, copy_one_pte)",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup",
        "dma-write-seen-by-other lost-dma-write",
        "what the flag is for is not said (03-16 16:32): with fork as in arcangeli-2009-v1, it is"
        " looked at only where fork has to write-protect an entry",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "512 bytes are EINVAL, so no device is there; read() stores the bytes (03-11 18:37)",
    ),
    expect(
        "piggin-2009-page",
        "",
        "fork asks for the mark whether the entry is writable or not, and copies (03-16 16:01)",
    ),
    expect(
        "torvalds-2009-mmap-sem",
        "fork-blocked",
        "mprotect, the first to need mmap_sem for writing, waits until read(2) is over",
    ),
    expect(
        "torvalds-2009-fork-lock torvalds-2009-page-count kosaki-2009-directio-sem"
        " kosaki-2009-pinned-sem",
        "fork-blocked",
        "fork waits until read(2) is over, so that nothing is in flight when it shares",
    ),
    expect(
        "piggin-2009-one-reader torvalds-2009-directed-cow",
        "",
        "the parent owns the page, so its store keeps the frame and the child gets the copy",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned linux-5.19",
        "dma-write-seen-by-other lost-dma-write",
        "O_DIRECT only gets, so fork shares whatever the entry says; page_count is 3, and the"
        " parent's store copies",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "the bit and the reference are the page's, not the entry's: fork copies for the child",
    ),
    expect(
        "linux-6.5",
        "",
        "the page is exclusive and pinned, whatever the entry says, so fork copies for the child"
        " (page_try_dup_anon_rmap)",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "fork copies every page of the area for the child, and decow_one_pte drops one of the two"
        " references that each original loses (03-12 16:23)",
    ),
    expect(
        "piggin-2009-page:first",
        "refcount-leak",
        "the first form drops one of the two references of the page that the child leaves: a leak"
        " per copy (03-14 04:46, decow_one_pte)",
    ),
)
