"""What is expected of ``ro-vma-odirect-write``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7 linux-2.6.29 linux-4.19 redhat-2.6.18"
        " arcangeli-2009-page-multiple torvalds-2009-mmap-sem torvalds-2009-fork-lock"
        " torvalds-2009-directed-cow torvalds-2009-page-count kosaki-2009-directio-sem"
        " kamezawa-2009-dio-lock kosaki-2009-dont-unmap piggin-2009-one-reader",
        "",
        "a read gup takes what is mapped, writable or not",
    ),
    expect(
        "arcangeli-2009-v1",
        "",
        "a read gup takes a read-only page and marks it; the second look of gup-fast asks whether"
        " it is present",
    ),
    expect(
        "arcangeli-2009-v2",
        "livelock",
        "follow_page wants a writable entry, sets FOLL_WRITE again each time, and maybe_mkwrite"
        " never makes one in a VMA without VM_WRITE (03-16 13:56)",
    ),
    expect(
        "arcangeli-2009-v2:norecheck",
        "",
        "the second look at the entry is what sends every read gup-fast the slow way; without it"
        " gup-fast keeps the read-only page",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "decow_one_pte copies what is read-only, shared or not, and drops one of the two references"
        " that the original loses (03-12 16:23)",
    ),
    expect(
        "piggin-2009-page kosaki-2009-pinned-sem",
        "",
        "COW is broken by a write fault, after which FOLL_WRITE is dropped for this page"
        " (VM_FAULT_WRITE in __get_user_pages), so gup takes the read-only entry",
    ),
    expect(
        "linux-5.8",
        "",
        "the forced write fault leaves a read-only entry, which FOLL_COW then allows to take"
        " (can_follow_write_pte)",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned"
        " hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "a read gup takes what is mapped, writable or not (a308c71bf1e6)",
    ),
    expect(
        "linux-5.19 linux-6.5",
        "",
        "the page is the parent's alone: exclusive is a bit of the page, whatever the entry allows",
    ),
)
