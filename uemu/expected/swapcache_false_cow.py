"""What is expected of ``swapcache-false-cow``."""

from uemu.expected import swap_out_while_pinned
from uemu.expected.cell import as_in, expect

EXPECTED = (
    expect(
        "linux-2.6.29 redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-vma"
        " piggin-2009-page piggin-2009-one-reader torvalds-2009-mmap-sem torvalds-2009-fork-lock"
        " torvalds-2009-directed-cow kosaki-2009-directio-sem kosaki-2009-pinned-sem"
        " kamezawa-2009-dio-lock linux-4.19 linux-5.8",
        "",
        "after the second swap-out the store finds mapcount 1 and no other entry of the slot, so"
        " it reuses the cached frame that the device writes (reuse_swap_page; that is what makes"
        " these kernels safe, Arcangeli 03-17 12:19)",
    ),
    *as_in(
        swap_out_while_pinned.EXPECTED,
        "arcangeli-2009-page-multiple linux-2.4-dio-pglock linux-2.6.7 kosaki-2009-dont-unmap"
        " torvalds-2009-page-count torvalds-2009-page-count:no-swapcache"
        " torvalds-2009-page-count:no-swapcache-fixed torvalds-2009-page-count:referenced"
        " linux-5.9 linux-5.11 hubbard-2021-locked-pages kara-2021-unmap-if-not-pinned"
        " hildenbrand-2021-model1 hildenbrand-2021-model2 linux-5.19 linux-6.5",
    ),
)
