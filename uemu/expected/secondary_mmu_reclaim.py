"""What is expected of ``secondary-mmu-reclaim``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.6.29 arcangeli-2009-page-multiple arcangeli-2009-v1 arcangeli-2009-v2"
        " piggin-2009-vma piggin-2009-page piggin-2009-one-reader torvalds-2009-mmap-sem"
        " torvalds-2009-fork-lock torvalds-2009-directed-cow torvalds-2009-page-count"
        " kosaki-2009-directio-sem kosaki-2009-pinned-sem kamezawa-2009-dio-lock",
        "",
        "ptep_clear_flush_notify(): the notifier runs once the entry is clear and flushed, and"
        " mmu_notifier_seq turns back whoever looked it up before",
    ),
    expect(
        "kosaki-2009-dont-unmap",
        "",
        "the notifier runs first, and lets the pin go; a guest that is back raises the count,"
        " which is compared again once the entry is clear (004)",
    ),
    expect(
        "linux-4.19 linux-5.8 linux-5.9 linux-5.11 hubbard-2021-locked-pages"
        " kara-2021-unmap-if-not-pinned hildenbrand-2021-model1 hildenbrand-2021-model2"
        " linux-5.19 linux-6.5",
        "",
        "while the range is invalidated nobody maps it (369ea8242c0f); KVM holds nothing"
        " (acb66dd051d0)",
    ),
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 redhat-2.6.18",
        "",
        "MMU notifiers are since Linux 2.6.27",
    ),
)
