"""No unmap of a page under gup, first of six (KOSAKI, 2009-04-19): W asks page_count, too.

reuse_swap_page() adds page_count to the PTEs and swap entries it has counted,
and says yes if the sum is 2: the page has one owner, and one reference. So a
write fault copies whatever anybody holds. Reclaim is to leave such pages
mapped, so that nobody who holds one ever takes that fault because of it; the
protection of a fork is none of this patch's affairs. The rest is 2.6.29.

Holds:   a device never receives another process's bytes: whoever stores to a
         page that somebody holds leaves it.
Breaks:  a device write in flight over fork is lost by the process that
         started it when it stores (lost-dma-write), even when the child is
         gone already, and seen by a child that stores nothing
         (dma-write-seen-by-other); mprotect to read-only and back does the
         first with no fork at all.
Costs:   a COW copy wherever anybody holds a reference; in do_wp_page a look
         at one counter more.
Relies:  whoever takes a page without the page table lock, gup-fast, found it
         mapped and holds TLB flushes up until the reference is there.
Source:  KOSAKI Motohiro, 2009-04-19 08:40 EST, "[RFC][PATCH v3 1/6] mm: Don't
         unmap gup()ed page", document 004 ("count + page_count(page) == 2"):
         mm/swapfile.c:reuse_swap_page, mm/rmap.c:try_to_unmap_one.
         Linux v2.6.29, as in linux-2.6.29, for the rest.
Not modelled: reclaim and swap, and with them the half of the patch that names
         it: try_to_unmap_one() lets the mmu notifier release secondary pins,
         gives up if page_count is not mapcount + 2, clears the entry, looks
         again and puts the entry back. do_swap_page(), which asks
         reuse_swap_page() too. That mapcount and page_count are read in one
         go where the sum cannot be 2; KSM, migration, huge pages.
Variants: one-check, in reclaim alone: it does not look again. Until there is
         reclaim it shows what the patch shows.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.policy._counted_reuse import CountedReuse


class Kosaki2009DontUnmap(CountedReuse):
    """W: count + page_count == 2; F and G as in 2.6.29."""

    name = "kosaki-2009-dont-unmap"
    summary = "a write fault asks mapcount and page_count; reclaim leaves held pages mapped"
    variants: ClassVar = {
        "one-check": "reclaim looks at page_count before it clears the entry, and not again"
    }
