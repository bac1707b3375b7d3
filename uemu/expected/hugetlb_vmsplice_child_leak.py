"""What is expected of ``hugetlb-vmsplice-child-leak``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.4-dio-pglock linux-2.6.7",
        "",
        "a private mapping of hugetlb is copied on write since v2.6.16 (1e8f889b10d8)",
    ),
    expect(
        "linux-2.6.29 redhat-2.6.18 arcangeli-2009-page-multiple arcangeli-2009-v1"
        " piggin-2009-page piggin-2009-vma piggin-2009-one-reader torvalds-2009-directed-cow"
        " torvalds-2009-fork-lock torvalds-2009-page-count kosaki-2009-directio-sem"
        " kosaki-2009-pinned-sem kamezawa-2009-dio-lock kosaki-2009-dont-unmap",
        "",
        "the child took the shared page, but hugetlb_cow() asks page_count, which the pipe's"
        " reference keeps at 2, so the parent's store copies",
    ),
    expect(
        "torvalds-2009-mmap-sem",
        "deadlock",
        "the child holds its mmap_sem for reading as long as the pipe holds the page, its munmap"
        " wants it for writing, and only the child reads the pipe (03-11 20:33)",
    ),
    expect(
        "torvalds-2009-mmap-sem:direct-io-call",
        "",
        "the semaphore is held over ->direct_IO(), and a pipe is none; page_count is 2, as in"
        " 2.6.29",
    ),
    expect(
        "arcangeli-2009-v2",
        "",
        'the child\'s gup breaks COW of hugetlb, as if to write, "always" (03-16 13:56)',
    ),
    expect(
        "linux-5.8",
        "",
        "should_force_cow_break() is asked of hugetlb, too: the fix of the CVE (17839856fd58)",
    ),
    expect(
        "linux-4.19 linux-5.9 linux-5.11 hubbard-2021-locked-pages"
        " kara-2021-unmap-if-not-pinned hildenbrand-2021-model1 hildenbrand-2021-model2",
        "secret-leak",
        "once the child unmapped the page the mapcount is 1, and hugetlb_cow() asks for nothing"
        " else, so the parent stores into what the pipe holds",
    ),
    expect(
        "linux-5.19 linux-6.5",
        "secret-leak",
        "vmsplice gets, and a get does not unshare; hugetlb_cow() finds mapcount 1 and makes the"
        " page exclusive again (expected to fail in cow.c: 4bf6a4ebc592)",
    ),
)
