"""Linux 2.6.7, up to 2.6.12: do_wp_page asks page_count, and reclaim leaves held pages mapped.

fork write-protects both entries and shares the page, as ever. On a write fault
the page is reused if there is one reference to it in all, else the writer gets
a copy: who holds a page is counted like a sharer. So that reclaim does not bring
such a fault about where nobody shares anything, it unmaps no page that somebody
holds; A. Arcangeli asks for that again on 2009-03-16 18:28. There is no
get_user_pages_fast().

Holds:   a device never receives another process's bytes: whoever stores to a
         page that somebody holds leaves it. Reclaim costs no device its page.
Breaks:  a device write in flight over fork is lost by the process that
         started it when it stores (lost-dma-write), even when the child is
         gone already, and seen by a child that stores nothing
         (dma-write-seen-by-other); mprotect to read-only and back does the
         first with no fork at all. A private mapping of hugetlb is refused, as
         from 2.6.8 on; 2.6.7 itself shared it (COW came with 2.6.16).
Costs:   a COW copy wherever anybody holds a reference; every get_user_pages
         takes mmap_sem; what is held is given swap, and then stays.
Relies:  the count of a page that one PTE maps rises only under the page table
         lock of its mm, which do_wp_page and reclaim hold where they look at it.
Source:  Linux v2.6.7, mm/memory.c:copy_page_range, do_wp_page, do_swap_page,
         get_user_pages; mm/swapfile.c:can_share_swap_page, exclusive_swap_page;
         mm/rmap.c:try_to_unmap_one. Gone since Linux kernel commit c475a8ab625d
         (in v2.6.13). A. Arcangeli, 2009-03-16 18:28 and 2009-03-17 18:46,
         document 003.
Not modelled: vm_swap_full(), which takes a page out of the swap cache as it is
         faulted in. get_user_pages() takes the zero page for memory that has not
         even a page table (untouched_anonymous_page); here it always faults it
         in. break_cow() sets the new entry before it flushes the old one.
         MADV_DONTFORK came with 2.6.16 and works here.
Variants: gup-fast, the question of 2009-03-17 18:46, whether this can come back:
         2.6.29's get_user_pages_fast() on top. It takes no lock, so it takes a
         page that reclaim has looked at and not unmapped yet, and the device's
         write is lost with no fork at all.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.abi import Foll
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, is_locked, page_count, page_mapcount
from uemu.mm.pte import Pte, SwapEntry
from uemu.mm.swap import page_swapcount, swap_free
from uemu.mm.vma import Vm, Vma
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op, Step


class Linux2_6_7(Linux2_6_29):
    """W asks page_count; F shares; G is a get under mmap_sem."""

    name = "linux-2.6.7"
    year = 2004
    summary = "a write fault asks page_count, there is no gup-fast; reclaim leaves held pages"
    has_mmu_notifier = False
    variants: ClassVar = {"gup-fast": "with the get_user_pages_fast() of 2.6.29"}
    read_fault_maps_zero_page = True
    has_hugetlb = False
    foll_anon = False
    copy_fn = "do_wp_page"
    wp_looks = "page_count == 1 ?"
    copy_one_fn = "copy_page_range"

    def gup_fast_begin(self, cpu: Cpu, mm: MmStruct, foll: Foll) -> Op[int | None]:
        """There is no get_user_pages_fast(): direct I/O takes mmap_sem. Since v2.6.27."""
        return 0 if self.variant == "gup-fast" else None
        yield  # pragma: no cover

    def reuse_anon_page(
        self, cpu: Cpu, mm: MmStruct, base: int, pte: Pte, page: Page
    ) -> Op[bool | None]:
        """Reuse what has no other reference, else copy. Linux: mm/memory.c:do_wp_page."""
        reuse = self.may_reuse(cpu, page)
        if reuse:
            mm.page_table_lock.acquire(cpu)
            yield Step("do_wp_page", "make it writable")
        return reuse

    def may_reuse(self, cpu: Cpu, page: Page) -> bool:
        """Ask under PG_locked; who cannot have that copies. Atomic: call inside a step."""
        return not is_locked(cpu, page) and self.can_share_swap_page(cpu, page)

    def can_share_swap_page(self, cpu: Cpu, page: Page) -> bool:
        """Whether the entry's is the only reference. Linux: mm/swapfile.c:can_share_swap_page."""
        if page.reserved:
            return False
        count = page_count(cpu, page)
        return count == 1 or (count == 2 and self.exclusive_swap_page(cpu, page))

    def exclusive_swap_page(self, cpu: Cpu, page: Page) -> bool:
        """Whether it is cached and no entry names its slot. Linux: mm/swapfile.c."""
        return cpu.read(page.swap) is not None and page_swapcount(cpu, page) == 0

    # reclaim and swap-in ------------------------------------------------------------------

    def may_unmap(self, cpu: Cpu, mm: MmStruct, page: Page) -> bool:
        """Not what anybody holds. Linux: mm/rmap.c:try_to_unmap_one (v2.6.7)."""
        return page_count(cpu, page) == page_mapcount(cpu, page) + 2

    def swap_in_pte(self, cpu: Cpu, vma: Vma, page: Page, entry: SwapEntry, *, write: bool) -> Pte:
        """Writable if it can be shared with nobody; it stays cached. Linux: do_swap_page."""
        swap_free(self.mech, cpu, self.mech.swap.of(entry))
        pte = Pte(page.pfn, write=False, user=vma.vm_flags & Vm.READ != 0)
        if write and self.can_share_swap_page(cpu, page):
            pte = pte._replace(write=vma.writable(), dirty=True)
        return pte
