"""Directed COW (Torvalds, 2009-03-11): whoever stores, the first owner keeps the page.

"What we _could_ try to do is to always make the COW breaking be a _directed_
event - we'd make sure that we always break COW in the direction of the first
owner (going to the rmap chains)." When the first owner stores to a shared
page, the others get copies and it keeps the frame; when another stores, it
gets the copy itself, as ever. fork and gup are 2.6.29's.

Holds:   a device write or read that its holder began as first owner, before
         fork or after, stays with the holder's page, whoever stores.
Breaks:  fork shares what a device is writing, so the child sees it until
         somebody stores (dma-write-seen-by-other). Who is not the first owner
         and holds the shared page to read it receives what the owner stores
         later: a device of the child's (foreign-dma-read), or the child
         itself through a pipe, without unmapping anything (secret-leak).
         Who is in swap has no entry that the walk could find: if the page is
         swapped out when fork comes, the owner's store copies as ever
         (lost-dma-write). Of a page of hugetlb COW is broken as in 2.6.29
         (lost-dma-write): the idea is of do_wp_page().
Costs:   nothing at fork and in gup; on the owner's store one copy for each
         other process that maps the page, and a walk of its rmap chain.
Relies:  pages are shared by fork alone, so that there is a first owner.
Source:  document 003, Message-ID
         <alpine.LFD.2.00.0903111150120.32478@localhost.localdomain>
         (L. Torvalds, 2009-03-11 19:01), the sentence above; he has "not
         looked at how horrible that would be", there is no patch. That the
         first owner is the oldest address space that still maps the page, so
         that the next one succeeds it, and that each of the others gets a copy
         of its own, at once and with the rights its entry has, is the
         plainest reading.
         Linux v2.6.29, as in linux-2.6.29, for the rest.
Not modelled: anon_vma and its lock: a walk of the rmap chain is one step; the
         page lock. Programs that
         run freely: a store moves other processes to other frames, and their
         threads cannot all be stopped where that can be done.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.errors import Fault
from uemu.mm.fault import wp_page_copy, wp_page_reuse
from uemu.mm.mm_struct import MmStruct
from uemu.mm.notifier import invalidate_page, notifiers_of
from uemu.mm.page import Page, page_mapcount
from uemu.mm.pte import Pte
from uemu.mm.rmap import mappings, mappings_of
from uemu.mm.swap import page_swapcount
from uemu.mm.vma import Vma
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op, Step


class Torvalds2009DirectedCow(Linux2_6_29):
    """W breaks COW toward the first owner; F and G as in 2.6.29."""

    name = "torvalds-2009-directed-cow"
    summary = "a write fault leaves the page to its first owner and copies it for the others"
    not_for_programs = "a store changes the page tables of other processes, which run on"

    def do_wp_page(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, *, unshare: bool = False
    ) -> Op[None]:
        """Reuse, copy for the writer, or, if that is the first owner, for the others."""
        mech, lock = self.mech, mm.page_table_lock
        yield lock.step("do_wp_page", "first owner ?")
        lock.enter(cpu)
        pte = cpu.read(mm.pte(base))
        if not isinstance(pte, Pte) or pte.write:
            return
        page = mech.page_of(pte)
        if page.reserved or not self.may_keep(cpu, mm, page):
            yield from wp_page_copy(mech, cpu, mm, vma, base, pte, page)
            return
        if self.reuse_swap_page(cpu, page):
            wp_page_reuse(mech, cpu, mm, vma, base, pte)
            return
        chain = mappings_of(mech, cpu, page)
        if not self.is_owner(cpu, mm, page, chain):
            yield from wp_page_copy(mech, cpu, mm, vma, base, pte, page)
            return
        if page_swapcount(cpu, page):
            # Who has but a swap entry is in no chain: the writer copies, as ever.
            yield from wp_page_copy(mech, cpu, mm, vma, base, pte, page)
            return
        if len(chain) == 1:
            # Somebody is about to leave the page: the walk takes his page table
            # lock, which he holds until he is counted no more.
            yield Step(
                "page_check_address",
                "wait for who leaves",
                lambda: len(mappings(mech, page)) == page.mapcount.peek(),
            )
            page_mapcount(cpu, page)
            mappings_of(mech, cpu, page)
            return
        mech.get_page(cpu, page)
        for other, at in chain:
            if (other, at) != (mm, base):
                try:
                    yield from self.copy_for_other(cpu, other, at, page)
                except Fault:
                    mech.put_page(cpu, page)  # who has a copy keeps it
                    raise
        yield lock.step("do_wp_page", "the only one now ?")
        lock.enter(cpu)
        # If one more came by a fork meanwhile, the next fault looks again.
        same = cpu.read(mm.pte(base)) == pte
        if same and self.may_keep(cpu, mm, page) and self.is_alone(cpu, page):
            wp_page_reuse(mech, cpu, mm, vma, base, pte)
        mech.put_page(cpu, page)

    def may_keep(self, cpu: Cpu, mm: MmStruct, page: Page) -> bool:
        """Whether who stores may have the page at all. Atomic: call inside a step."""
        return True

    def is_alone(self, cpu: Cpu, page: Page) -> bool:
        """Whether the owner is the only one that maps the page by now."""
        return self.reuse_swap_page(cpu, page)

    def is_owner(
        self, cpu: Cpu, mm: MmStruct, page: Page, chain: list[tuple[MmStruct, int]]
    ) -> bool:
        """Whether COW is broken toward ``mm``. Atomic: call inside a step."""
        return self.is_first_owner(mm, chain)

    def is_first_owner(self, mm: MmStruct, chain: list[tuple[MmStruct, int]]) -> bool:
        """Whether ``mm`` is the oldest that maps the page."""
        return chain[0][0] is mm

    def copy_for_other(self, cpu: Cpu, mm: MmStruct, base: int, page: Page) -> Op[None]:
        """Move another address space from the page to a copy; its next store reuses that."""
        mech, lock = self.mech, mm.page_table_lock
        yield Step("cow_user_page", f"a copy for {mm.name}")
        new = mech.alloc_page(cpu, base)
        mech.copy_page(cpu, mm, base, new, page, "cow_user_page")
        yield lock.step("do_wp_page", f"map it in {mm.name}")
        lock.enter(cpu)
        pte = self.maps(cpu, mm, base, page)
        if pte is None:
            mech.put_page(cpu, new)
            return
        if mech.mmu.cpus_of(mm.id) or notifiers_of(cpu, mm):
            lock.acquire(cpu)
            mech.ptep_get_and_clear(cpu, mm, base)
            yield from self.flush(cpu, mm, base)
            yield from invalidate_page(cpu, mm, base)
        mech.page_add_new_anon_rmap(cpu, new)
        self.new_anon_page(cpu, new)
        mech.set_pte_at(cpu, mm, base, pte._replace(pfn=new.pfn))
        mech.page_remove_rmap(cpu, page)
        mech.put_page(cpu, page)
        lock.release(cpu)

    def maps(self, cpu: Cpu, mm: MmStruct, base: int, page: Page) -> Pte | None:
        """The entry of another address space, if it maps the page still."""
        pte = None if mm.gone else cpu.read(mm.pte(base))
        return pte if isinstance(pte, Pte) and pte.pfn == page.pfn else None

    def flush(self, cpu: Cpu, mm: MmStruct, base: int) -> Op[None]:
        """Make the CPUs of the other one forget where the page was, before it is elsewhere."""
        return self.mech.flush_tlb_range(cpu, mm, base, base + PAGE_SIZE)
