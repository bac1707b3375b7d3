"""What is expected of ``vmsplice-then-fork``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.6.29 linux-4.19 arcangeli-2009-page-multiple",
        "secret-leak",
        "fork shares the held page, the parent's store leaves it, the child's finds mapcount 1 and"
        " reuses what is in the pipe (ground truth c2 with vmsplice on 4.19)",
    ),
    expect(
        "redhat-2.6.18",
        "",
        "fork finds page_count above mapcount and copies for the child, whoever holds the page",
    ),
    expect(
        "linux-2.4-dio-pglock linux-2.6.7",
        "",
        "page_count is above 1 at both stores, so both leave the page in the pipe",
    ),
    expect(
        "arcangeli-2009-v1 arcangeli-2009-v2",
        "",
        "gup marks the page PG_gup, for a pipe and a read too, so fork copies for the child",
    ),
    expect(
        "piggin-2009-page",
        "",
        "gup marked VMA or page for fork, which copies for the child; the parent's store stays in"
        " the page",
    ),
    expect(
        "piggin-2009-page:first",
        "refcount-leak",
        "the first form drops one of the two references of the page that the child leaves: a leak"
        " per copy (03-14 04:46, decow_one_pte)",
    ),
    expect(
        "piggin-2009-one-reader torvalds-2009-directed-cow",
        "",
        "COW is broken toward the parent, so it is the child who leaves the page in the pipe",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock",
        "fork-blocked",
        "the reader's lock is held until the pipe is read, and fork waits for it (Torvalds 03-16"
        " 17:02: \"The process that does 'vmsplice()' will not be able to fork until the IO is"
        ' done")',
    ),
    expect(
        "torvalds-2009-mmap-sem:direct-io-call kosaki-2009-directio-sem kosaki-2009-pinned-sem"
        " kamezawa-2009-dio-lock",
        "secret-leak",
        "the lock is direct I/O's and vmsplice takes none, so fork shares the held page as in"
        ' 2.6.29 (Piggin 03-16 16:50: "not solve other get_user_pages problems")',
    ),
    expect(
        "torvalds-2009-page-count kosaki-2009-dont-unmap",
        "",
        "the pipe's reference counts in do_wp_page at both stores, so both copy",
    ),
    expect(
        "linux-5.8",
        "secret-leak",
        "the reference came before fork and broke nothing; fork shares, the parent copies, the"
        " child reuses the page in the pipe",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned",
        "",
        "fork shares what is only gotten, but page_count keeps the child from reusing it (ground"
        " truth c2 with vmsplice on 5.10)",
    ),
    expect(
        "hildenbrand-2021-model1 hildenbrand-2021-model2",
        "",
        "whether fork copies or shares, nobody reuses a page that is not exclusive and that the"
        " pipe refers to",
    ),
    expect(
        "linux-5.19 linux-6.5",
        "",
        "fork clears PG_anon_exclusive and shares, for vmsplice still gets, and page_count keeps"
        " the child from taking the page over (ground truth c2 with vmsplice on 6.1 and 6.18)",
    ),
    expect(
        "piggin-2009-vma",
        "refcount-leak",
        "fork copies every page of the area for the child, and decow_one_pte drops one of the two"
        " references that each original loses (03-12 16:23)",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup",
        "",
        "the lock is held over the lookup only, and gup marks the page: fork copies for the child",
    ),
)
