"""What is expected of ``ro-pin-zero-page``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.6.29 redhat-2.6.18 arcangeli-2009-page-multiple torvalds-2009-mmap-sem"
        " torvalds-2009-fork-lock torvalds-2009-directed-cow torvalds-2009-page-count"
        " kosaki-2009-directio-sem kamezawa-2009-dio-lock kosaki-2009-dont-unmap",
        "stale-dma-read",
        "a read gup of untouched memory holds ZERO_PAGE(0) and maps nothing (follow_page,"
        " FOLL_ANON); the store maps a page of its own",
    ),
    expect(
        "linux-2.4-dio-pglock linux-2.6.7",
        "stale-dma-read",
        "the read fault of gup maps the zero page, and the store leaves it (up to 2.6.23)",
    ),
    expect(
        "arcangeli-2009-v1 arcangeli-2009-v2",
        "stale-dma-read",
        "what is broken or marked is an anonymous page that is there (PageAnon, in follow_page);"
        " of untouched memory gup holds the zero page",
    ),
    expect(
        "piggin-2009-vma",
        "stale-dma-read",
        "the VMA is marked and there is no page in it to be copied; gup then holds the zero page"
        " as ever (FOLL_ANON, 03-12 16:23)",
    ),
    expect(
        "piggin-2009-page",
        "",
        "a read gup of a COW mapping asks for a writable entry, so the memory is allocated (03-16"
        " 16:01; as posted FOLL_ANON is still set beside FOLL_WRITE, which is a BUG_ON in"
        " follow_page of that time and not modelled)",
    ),
    expect(
        "piggin-2009-one-reader",
        "stale-dma-read",
        "a direction is recorded for a page, and the zero page is nobody's (03-14 05:20)",
    ),
    expect(
        "kosaki-2009-pinned-sem",
        "stale-dma-read",
        "COW is broken early in the slow path of gup-fast alone, and VFIO calls plain"
        " get_user_pages (03-22 12:23)",
    ),
    expect(
        "linux-4.19",
        "stale-dma-read",
        "the read fault of gup maps the zero page, gup holds it, and the store leaves it (ground"
        " truth z1 on 4.19: the device reads 0)",
    ),
    expect(
        "linux-5.8",
        "",
        "gup takes a write fault first, which allocates (17839856fd58)",
    ),
    expect(
        "linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned"
        " hildenbrand-2021-model1 hildenbrand-2021-model2",
        "stale-dma-read",
        "the read fault of gup maps the zero page, gup holds it, and the store leaves it (ground"
        " truth z1 on 5.10: the device reads 0)",
    ),
    expect(
        "linux-5.19",
        "stale-dma-read",
        "gup_must_unshare() asks of anonymous pages, and the zero page is none (ground truth z1 on"
        " 6.1: the device reads 0)",
    ),
    expect(
        "linux-6.5",
        "",
        "a read-only long-term pin unshares the zero page too (84209e87c696); a request's does not"
        " (ground truth z1 on 6.18)",
    ),
)
