"""What is expected of ``vmsplice-child-leak``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.6.29 linux-4.19 arcangeli-2009-page-multiple",
        "secret-leak",
        "the child took the shared page; once it unmapped it, the parent's store finds mapcount 1"
        " and reuses it (CVE-2020-29374; ground truth c5 on 4.19)",
    ),
    expect(
        "redhat-2.6.18 arcangeli-2009-v1",
        "secret-leak",
        "nobody held the page when fork shared it, a read gup takes it as it is, and do_wp_page"
        " asks the mapcount, which is 1",
    ),
    expect(
        "linux-2.4-dio-pglock linux-2.6.7",
        "",
        "the pipe's reference keeps page_count at 2, so the parent's store copies",
    ),
    expect(
        "arcangeli-2009-v2",
        "",
        "the child's gup breaks COW on a read-only anonymous page even to read (v2, follow_page)",
    ),
    expect(
        "arcangeli-2009-v2:norecheck",
        "secret-leak",
        "it is the second look at the entry that refuses a read-only one to a read gup (03-16"
        " 13:56, gup_pte_range); without it gup-fast keeps the shared page",
    ),
    expect(
        "piggin-2009-page",
        "",
        "the child's gup breaks COW before it holds the page, so the pipe has a page of the"
        " child's own (03-12 16:23, 03-16 16:01)",
    ),
    expect(
        "piggin-2009-one-reader",
        "",
        "the child is the page's one reader, so COW is broken toward it and the parent's store"
        " copies (03-14 05:20)",
    ),
    expect(
        "torvalds-2009-directed-cow",
        "secret-leak",
        "the parent owns the page and keeps it when it stores, with the child's reference on it:"
        " the direction is right for the owner's devices and wrong for everybody else's (03-14"
        " 05:20)",
    ),
    expect(
        "torvalds-2009-mmap-sem",
        "deadlock",
        "the child holds its mmap_sem for reading as long as the pipe holds the page, its munmap"
        " wants it for writing, and only the child reads the pipe (03-11 20:33)",
    ),
    expect(
        "torvalds-2009-mmap-sem:direct-io-call",
        "secret-leak",
        "the semaphore is held over ->direct_IO(), and a pipe is none; the rest is 2.6.29",
    ),
    expect(
        "torvalds-2009-fork-lock kosaki-2009-directio-sem kamezawa-2009-dio-lock",
        "secret-leak",
        "fork was over before the child took the page, munmap takes no lock of theirs, and"
        " do_wp_page asks the mapcount, as in 2.6.29",
    ),
    expect(
        "torvalds-2009-page-count kosaki-2009-dont-unmap",
        "",
        "the pipe's reference counts in do_wp_page, so the parent's store copies (03-17 00:44,"
        " document 004)",
    ),
    expect(
        "kosaki-2009-pinned-sem",
        "",
        "gup-fast takes writable entries only and its slow path breaks COW, so the pipe has a"
        " page of the child's own (03-22 12:23)",
    ),
    expect(
        "linux-5.8",
        "",
        "the child's gup takes a write fault first: the fix of the CVE (17839856fd58)",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "",
        "page_count is 2 while the pipe holds the page, so the parent's store copies"
        " (09854ba94c6a; ground truth c5 on 5.10)",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "fork took the bit away and the pipe's reference keeps the count above 1, so the parent's"
        " store copies",
    ),
    expect(
        "linux-5.19 linux-6.5",
        "",
        "fork cleared PG_anon_exclusive and page_count is 2, so the parent's store copies (ground"
        " truth c5 on 6.1 and 6.18)",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "the child's gup un-COWs every page of the area, and decow_one_pte drops one of the two"
        " references that each original loses (03-12 16:23)",
    ),
)
