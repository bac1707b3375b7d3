"""What is expected of ``dontfork-collateral``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 linux-2.6.29 linux-4.19 linux-5.8 linux-5.9 linux-5.11"
        " linux-5.19 linux-6.5 redhat-2.6.18 arcangeli-2009-page-multiple arcangeli-2009-v1"
        " arcangeli-2009-v2 piggin-2009-vma piggin-2009-page piggin-2009-one-reader"
        " torvalds-2009-directed-cow kosaki-2009-dont-unmap hubbard-2021-locked-pages"
        " kara-2021-unmap-if-not-pinned hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "fork skips a VM_DONTCOPY area, so nothing goes wrong in the parent; that the child has no"
        " such page is what was asked for (ground truth e1: none, at both ends of the page)",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock",
        "fork-blocked",
        "whoever holds a page holds the lock, and fork waits for the registration to end, whatever"
        " the page's advice; it may never end (Herrenschmidt 03-14 05:07)",
    ),
    expect(
        "torvalds-2009-mmap-sem:direct-io-call torvalds-2009-page-count kosaki-2009-directio-sem"
        " kosaki-2009-pinned-sem kamezawa-2009-dio-lock",
        "",
        "only direct I/O takes the lock, and fork skips a VM_DONTCOPY area",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup",
        "",
        "the lock is held over the lookup only, and fork skips a VM_DONTCOPY area",
    ),
)
