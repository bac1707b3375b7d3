"""PG_gup, second version (Arcangeli, 2009-03-16): fork copies what may be under I/O.

gup marks each anonymous page it holds with PG_gup, which stays until the
page is freed. fork write-protects the parent's entry, and if the page is
marked and has more references than PTEs it copies it for the child at once
and makes the parent's entry writable again. gup-fast looks at the entry once
more after it marked the page, so that fork needs no TLB flush per page. A
read gup breaks COW first, as a write gup does. A marked page of hugetlb is
copied whoever holds it: nobody asks for its references.

Holds:   device writes and device reads in flight over fork belong to the
         process that started them.
Breaks:  a read gup in a VMA without VM_WRITE never returns (livelock):
         follow_page wants a writable entry that maybe_mkwrite never makes.
         A fork that gets no memory for a copy forgets what it counted for the
         child: the page is never freed (refcount-leak), and the next fork meets
         BUG_ON(page_mapcount(page) != 2).
Costs:   at fork one page copy and one TLB flush for each page under I/O; in
         gup-fast one atomic more on a page's first hold and a fence always. A
         read gup-fast of an anonymous page never succeeds: the patch compares
         the masked flags with one more than the mask has.
Relies:  fork writes the entry, then reads PG_gup and the count; gup-fast
         writes count and PG_gup, then reads the entry. Whoever is second
         sees the other: both need their smp_mb().
Source:  the patch in document 003, Message-ID
         <20090316135654.GA17949@random.random> (A. Arcangeli, 2009-03-16).
Not modelled: that reclaim changes the parent's entry while fork_pre_cow() copies,
         and pte_mkwrite() is done to whatever that has become: here what is no
         page any more is left alone; smp_mb() orders nothing under
         sequential consistency.
Variants: norecheck, what L. Torvalds feared on 2009-03-11 19:01; it also
         leaves a read gup-fast with a page that is shared. nomb.

Race: gup-fast-vs-fork uemu1:00011101111111100
    -> lost-dma-write, dma-write-seen-by-other (norecheck)

    #   io                   fork              note                  state
    --  -------------------  ----------------  --------------------  -----------
    0   get_user_pages_fast                    interrupts off        0: 1/1
    1   gup_pte_range                          writable ?            0: 1/1
    2   get_page                               hold pfn 0            0: 2/1
    3                        dup_mmap          mmap_sem for writing  0: 2/1
    4                        copy_one_pte      wrprotect the parent  0: 2/1
    5                        copy_one_pte      PG_gup ?              0: 3/2
    6   gup_pte_range                          SetPageGUP            0: 3/2g
    7                        flush_tlb_others  IPI to io             0: 3/2g
    8                        store             b'P' -> parent        0: 3/2g
    9                        do_page_fault     mmap_sem              0: 3/2g
    10                       do_wp_page        mapcount == 1 ?       0: 4/2g
    11                       cow_user_page     copy the frame        0: 4/2g 1/0
    12                       do_wp_page        pte_same ?            -: 4/2g 1/0
    13                       flush_tlb_others  IPI to io             1: 2/1g 1/1
    14                       store             b'P' -> parent        1: 2/1g 1/1
    15  dma                                    b'D' -> pfn 0         1: 2/1g 1/1
    16  put_page                               release pfn 0         1: 1/1g 1/1

State: the frame the parent maps, then count/mapcount of pfn 0, 1, ...;
g: PG_gup.
"""

from __future__ import annotations

from uemu.abi import Foll
from uemu.mm.pte import AnyPte, Pte
from uemu.mm.vma import Vma
from uemu.policy.arcangeli_2009_v1 import Arcangeli2009V1


class Arcangeli2009V2(Arcangeli2009V1):
    """The first version, and a read gup breaks COW as well: "fork-o_direct-race"."""

    name = "arcangeli-2009-v2"
    summary = "PG_gup, and a read gup breaks COW first; fork copies marked pages that are held"

    def gup_may_keep(self, pte: AnyPte, foll: Foll) -> bool:
        """As posted: (flags & mask) != (mask | _PAGE_RW).

        A read gup's mask has no _PAGE_RW, so the two never are the same, and
        it always goes the slow way.
        """
        return Foll.WRITE in foll and super().gup_may_keep(pte, foll)

    hugetlb_reads_zero_page = False

    def hugetlb_mask(self, foll: Foll) -> Foll:
        """_PAGE_RW, whatever is asked for."""
        return foll | Foll.WRITE

    def hugetlb_foll(self, vma: Vma, foll: Foll) -> Foll:
        """write=1, "always". Linux: follow_hugetlb_page, patched."""
        return foll | Foll.WRITE

    def gup_must_decow(self, pte: Pte) -> bool:
        return not pte.write
