"""What is expected of ``secondary-mmu-no-pin``."""

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
        "told in order reclaim is through before the GRU is back; that it comes back to a page"
        " whose entry is not clear yet is for an explorer",
    ),
    expect(
        "linux-4.19 linux-5.8 linux-5.9 linux-5.11 hubbard-2021-locked-pages"
        " kara-2021-unmap-if-not-pinned hildenbrand-2021-model1 hildenbrand-2021-model2"
        " linux-5.19 linux-6.5",
        "",
        "while the range is invalidated nobody maps it (369ea8242c0f)",
    ),
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 redhat-2.6.18",
        "",
        "MMU notifiers are since Linux 2.6.27",
    ),
)
