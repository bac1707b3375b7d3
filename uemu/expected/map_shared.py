"""What is expected of ``map-shared``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 linux-2.6.29 redhat-2.6.18 arcangeli-2009-v1"
        " arcangeli-2009-v2 piggin-2009-vma piggin-2009-page piggin-2009-one-reader"
        " torvalds-2009-directed-cow kamezawa-2009-dio-lock kosaki-2009-dont-unmap linux-4.19"
        " linux-5.8 linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned"
        " hildenbrand-2021-model1 hildenbrand-2021-model2 linux-5.19 linux-6.5",
        "",
        "a shared mapping is no COW mapping: fork leaves the entries alone and no store copies"
        " (ground truth e5)",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "512 bytes are EINVAL, so no device is there; read() stores the bytes (03-11 18:37)",
    ),
    expect(
        "torvalds-2009-page-count torvalds-2009-mmap-sem torvalds-2009-fork-lock"
        " kosaki-2009-directio-sem kosaki-2009-pinned-sem",
        "fork-blocked",
        "the lock is the mm's and knows no areas: fork waits for I/O to shared memory, too",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup",
        "",
        "fork waits for nothing, and no store copies a page of shared memory",
    ),
)
