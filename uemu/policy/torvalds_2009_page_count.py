"""page_count in do_wp_page (Torvalds, 2009-03-17), with a semaphore for the other half.

"We simply do the same old 'reuse_swap_page()' count, but we only break the
COW if the page count afterwards is 1": a write fault copies whatever anybody
holds. That is for the device that reads a page which an earlier fork shared.
For the device that writes, KOSAKI's first semaphore keeps direct I/O and fork
apart, so that no fork shares a page under I/O. The rest is 2.6.29.

Holds:   a device never receives another process's bytes, whoever holds the
         page for it; direct I/O that read(2) waits for, over fork.
Breaks:  fork waits for direct I/O, new I/O for a fork that waits
         (fork-blocked). AIO gives the semaphore back when the call returns, and
         registrations and pipes never take it: what they do over fork is lost
         by whoever stores (lost-dma-write), even when the child is gone, and
         a child that stores nothing sees it (dma-write-seen-by-other).
         mprotect to read-only and back loses a read with no fork at all.
Costs:   a COW copy wherever anybody holds a reference; two atomics more for
         each direct I/O, on a cache line that all threads share.
Relies:  whoever takes a page without the page table lock, gup-fast, found it
         mapped and holds TLB flushes up until the reference is there; a page
         stays writable and in no swap cache while a device writes it, which
         reclaim does not keep to (A. Arcangeli, 2009-03-17 12:19).
Source:  L. Torvalds, 2009-03-17 00:44, document 003, in reply to KOSAKI
         Motohiro, 2009-03-16 16:01, whose semaphore it is to go with; 18:09
         and 18:19 for the variants. Neither mail's id is in the document.
         Linux v2.6.29, as in linux-2.6.29, for the rest.
Not modelled: signals that end a wait for a semaphore.
Variants: no-swapcache, as written on 2009-03-17 18:09, "page_count(page) >
         page_mapped(page)": page_mapped() is 0 or 1, and reclaim has a
         reference of its own, so that is always true and nothing is ever
         added to the swap cache. no-swapcache-fixed, the mapcount and
         reclaim's reference instead, as A. Arcangeli takes it to mean (18:46).
         referenced (18:19): reclaim takes a page that somebody holds for one
         that was used lately, which it does not unmap either.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.mm.page import Page, page_count, page_mapcount
from uemu.policy._counted_reuse import CountedReuse
from uemu.policy.kosaki_2009_directio_sem import Kosaki2009DirectioSem
from uemu.step import Cpu


class Torvalds2009PageCount(CountedReuse, Kosaki2009DirectioSem):
    """W: reuse_swap_page() and page_count == 1; L: directio_sem; F and G as in 2.6.29."""

    name = "torvalds-2009-page-count"
    summary = "a write fault asks page_count, too, and fork waits for direct I/O"
    variants: ClassVar = {
        "no-swapcache": "nothing is added to the swap cache: page_count > page_mapped, as written",
        "no-swapcache-fixed": "held pages are not added to the swap cache",
        "referenced": "held pages count as used lately",
    }

    def may_add_to_swap(self, cpu: Cpu, page: Page) -> bool:
        """Whether a page may become swap cache. Atomic: call inside a step.

        Reclaim has taken one reference of its own. Linux: mm/swap_state.c:add_to_swap.
        """
        if self.variant == "no-swapcache":
            page_mapped = int(page_mapcount(cpu, page) > 0)
            return page_count(cpu, page) <= page_mapped
        return self.variant != "no-swapcache-fixed" or not self.is_held(cpu, page)

    def page_referenced(self, cpu: Cpu, page: Page) -> bool:
        """Whether a reference makes reclaim leave a page alone. Atomic: call inside a step.

        Reclaim has taken one reference of its own. Linux: mm/rmap.c:page_referenced.
        """
        return self.variant == "referenced" and self.is_held(cpu, page)

    def is_held(self, cpu: Cpu, page: Page) -> bool:
        """Whether a page has references beside those of PTEs, the swap cache and reclaim."""
        cached = cpu.read(page.swap) is not None
        return page_count(cpu, page) > page_mapcount(cpu, page) + 1 + cached
