"""What is expected of ``vfork-exec``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 linux-2.6.29 linux-4.19 linux-5.8 linux-5.9 linux-5.11"
        " linux-5.19 linux-6.5 redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-vma"
        " piggin-2009-page piggin-2009-one-reader torvalds-2009-directed-cow kosaki-2009-dont-unmap"
        " hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned hildenbrand-2021-model1"
        " hildenbrand-2021-model2",
        "",
        "the child is in the same mm (CLONE_VM), so no entry is copied or write-protected (Torvalds"
        " 03-11 22:06; ground truth e3 on 4.19, 5.10, 6.1 and 6.18)",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock torvalds-2009-page-count"
        " kosaki-2009-directio-sem kosaki-2009-pinned-sem kamezawa-2009-dio-lock",
        "",
        "what waits for I/O is dup_mmap() or a COW fault, and with CLONE_VM there is neither",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "512 bytes are EINVAL, so no device is there; read() stores the bytes (03-11 18:37)",
    ),
)
