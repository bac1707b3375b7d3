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
         first with no fork at all. The notifier runs while the entry is there,
         and ptep_clear_flush() does not run it again: a secondary MMU without a
         pin (gru) may be back before the entry is cleared, and keeps a page
         that is freed (pinned-page-freed, lost-dma-write).
Costs:   a COW copy wherever anybody holds a reference; in do_wp_page a look
         at one counter more; a secondary translation, for nothing, wherever the
         page then stays.
Relies:  whoever takes a page without the page table lock, gup-fast, found it
         mapped and holds TLB flushes up until the reference is there.
Source:  KOSAKI Motohiro, 2009-04-19 08:40 EST, "[RFC][PATCH v3 1/6] mm: Don't
         unmap gup()ed page", document 004 ("count + page_count(page) == 2"):
         mm/swapfile.c:reuse_swap_page, mm/rmap.c:try_to_unmap_one.
         Linux v2.6.29, as in linux-2.6.29, for the rest.
Not modelled: that mapcount and page_count are read in one go where the sum
         cannot be 2; KSM.
Variants: one-check, in reclaim alone: it does not look again; young-first, what A.
         Arcangeli asks for (quoted in 004): the notifier runs after the young check.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.mm.mm_struct import MmStruct
from uemu.mm.notifier import clear_flush_young, invalidate_page, notifiers_of
from uemu.mm.notifier_hooks import Told
from uemu.mm.page import Page, page_count, page_mapcount
from uemu.mm.pte import SwapEntry
from uemu.policy._counted_reuse import CountedReuse
from uemu.step import Cpu, Op, Step


class Kosaki2009DontUnmap(CountedReuse):
    """W: count + page_count == 2; F and G as in 2.6.29."""

    name = "kosaki-2009-dont-unmap"
    summary = "a write fault asks mapcount and page_count; reclaim leaves held pages mapped"
    unmap_tells = Told.BEFORE
    variants: ClassVar = {
        "one-check": "reclaim looks at page_count before it clears the entry, and not again",
        "young-first": "reclaim asks whether a page was used before it tells secondary MMUs",
    }

    def may_swap_in_writable(self, cpu: Cpu, page: Page) -> bool:
        """do_swap_page() asks reuse_swap_page(), too: "count + page_count(page) == 2"."""
        return super().may_swap_in_writable(cpu, page) and page_count(cpu, page) == 1

    # mm/rmap.c:try_to_unmap_one ------------------------------------------------------------

    def unmap_looks(self, cpu: Cpu, mm: MmStruct, base: int, page: Page) -> Op[bool]:
        """Secondary pins go first, then the count is compared, then "recently referenced ?"."""
        young_first = self.variant == "young-first"
        if young_first and (yield from clear_flush_young(cpu, mm, base)):
            return False
        if notifiers_of(cpu, mm):
            yield from invalidate_page(cpu, mm, base)
            # The entry is there: gup-fast, and with it a guest, may come back now.
            yield Step("try_to_unmap_one", "page_count == mapcount + 2 ?")
        if not self.may_unmap(cpu, mm, page):
            return False
        return young_first or not (yield from clear_flush_young(cpu, mm, base))

    def may_unmap(self, cpu: Cpu, mm: MmStruct, page: Page) -> bool:
        """Not what anybody holds: "pte + swapcache + us"."""
        return self.is_unheld(cpu, page)

    def swap_entry_for(
        self, cpu: Cpu, mm: MmStruct, page: Page, entry: SwapEntry
    ) -> Op[SwapEntry | None]:
        """Look again, "_after_ pte nuking": gup-fast may have won the race."""
        if self.variant == "one-check":
            return entry
        yield Step("try_to_unmap_one", "page_count == mapcount + 2, still ?")
        return entry if self.is_unheld(cpu, page) else None

    def is_unheld(self, cpu: Cpu, page: Page) -> bool:
        """Whether PTEs, the swap cache and reclaim are all that refers to the page."""
        return page_count(cpu, page) == page_mapcount(cpu, page) + 2
