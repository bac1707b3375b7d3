"""The questions about reclaim and swap: what becomes of a page that somebody holds.

The defaults are Linux 2.6.29's, which asks for no reference until it would free
the page: what is held is unmapped and written, and found again in the swap cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from uemu.mm.compound import page_trans_huge_mapcount
from uemu.mm.notifier import clear_flush_young
from uemu.mm.notifier_hooks import NotifierHooks
from uemu.mm.page import page_count, page_mapcount
from uemu.mm.pte import MigrationEntry, Pte, SwapEntry
from uemu.mm.swap import delete_from_swap_cache, page_swapcount, swap_free
from uemu.mm.vma import Vm
from uemu.step import Cpu, Op

if TYPE_CHECKING:
    from uemu.mm.mechanism import Mechanism
    from uemu.mm.mm_struct import MmStruct
    from uemu.mm.page import Page
    from uemu.mm.vma import Vma


class ReclaimHooks(NotifierHooks):
    """What reclaim may do with a page, and how it comes back.

    Attributes:
        has_ksm: whether equal pages are merged (since v2.6.32).
    """

    mech: Mechanism
    has_ksm: ClassVar[bool] = True

    # Out: mm/vmscan.c, mm/rmap.c ----------------------------------------------------

    def page_referenced(self, cpu: Cpu, page: Page) -> bool:
        """Whether the page was used lately and is left alone. Atomic: inside a step."""
        return False

    def may_add_to_swap(self, cpu: Cpu, page: Page) -> bool:
        """Whether a page that is not in the swap cache may enter it. Atomic: inside a step."""
        return True

    def unmap_begin(self, cpu: Cpu, mm: MmStruct, page: Page) -> Op[None]:
        """Before the walk looks at the entries of an mm."""
        return
        yield  # pragma: no cover

    def unmap_end(self, cpu: Cpu, mm: MmStruct, page: Page) -> Op[None]:
        """After it did, whatever came of it."""
        return
        yield  # pragma: no cover

    def may_unmap(self, cpu: Cpu, mm: MmStruct, page: Page) -> bool:
        """Asked under the page table lock, before a PTE is cleared. Atomic: inside a step."""
        return True

    def unmap_looks(self, cpu: Cpu, mm: MmStruct, base: int, page: Page) -> Op[bool]:
        """All that is asked before a PTE is cleared, under the page table lock, which it may keep.

        Linux: try_to_unmap_one asks once more what page_referenced asked.
        """
        if not self.may_unmap(cpu, mm, page):
            return False
        return not (self.unmap_asks_young and (yield from clear_flush_young(cpu, mm, base)))

    def swap_entry_for(
        self, cpu: Cpu, mm: MmStruct, page: Page, entry: SwapEntry
    ) -> Op[SwapEntry | None]:
        """What takes the place of a PTE that is cleared and flushed; None: put it back."""
        return entry
        yield  # pragma: no cover

    # Elsewhere: mm/migrate.c -----------------------------------------------------------

    def migration_entry_for(
        self, cpu: Cpu, page: Page, entry: MigrationEntry
    ) -> Op[MigrationEntry | None]:
        """What takes the place of a PTE that is cleared and flushed; None: put it back."""
        return entry
        yield  # pragma: no cover

    def migrated(self, cpu: Cpu, page: Page, entry: MigrationEntry) -> None:
        """The page, old or new, is about to be mapped again. Atomic: inside a step."""

    # mm/ksm.c:write_protect_page -------------------------------------------------------

    def ksm_finds_held(self, cpu: Cpu, page: Page) -> Op[bool]:
        """Whether a page whose entry is cleared and flushed is held, and so not merged."""
        swapped = cpu.read(page.swap) is not None
        return page_mapcount(cpu, page) + 1 + swapped != page_count(cpu, page)
        yield  # pragma: no cover

    # In: mm/memory.c:do_swap_page, mm/swapfile.c ---------------------------------------

    def swap_in_pte(self, cpu: Cpu, vma: Vma, page: Page, entry: SwapEntry, *, write: bool) -> Pte:
        """The PTE that maps a page again, cached and locked; the swap entry is given back.

        Linux: mm/memory.c:do_swap_page. Atomic: inside a step.
        """
        pte = Pte(page.pfn, write=False, user=vma.vm_flags & Vm.READ != 0)
        if write and self.may_swap_in_writable(cpu, page):
            pte = pte._replace(write=vma.writable(), dirty=True)
        swap_free(self.mech, cpu, self.mech.swap.of(entry))
        return pte

    def may_swap_in_writable(self, cpu: Cpu, page: Page) -> bool:
        """Whether a store that faults a page in may have it. Atomic: inside a step."""
        return self.reuse_swap_page(cpu, page)

    def fork_swap_entry(self, cpu: Cpu, src: MmStruct, base: int, entry: SwapEntry) -> SwapEntry:
        """What the child gets of an entry at ``base``. Linux: copy_one_pte. Atomic."""
        return entry

    def reuse_swap_page(self, cpu: Cpu, page: Page) -> bool:
        """Whether no other PTE maps the page or names its slot; it then leaves the cache.

        Nor any other part of a huge page it belongs to.
        Linux: mm/swapfile.c:reuse_swap_page (v2.6.29, v4.19). Atomic: inside a step.
        """
        if cpu.read(page.ksm):
            return False
        count = page_trans_huge_mapcount(self.mech, cpu, page)
        if count <= 1 and cpu.read(page.swap) is not None:
            count += page_swapcount(cpu, page)
            if count == 1 and not cpu.read(page.writeback):
                delete_from_swap_cache(self.mech, cpu, page)
        return count == 1
