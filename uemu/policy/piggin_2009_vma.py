"""VM_DONTCOW (Piggin, 2009-03-12): the first gup un-COWs a whole VMA, and fork copies it.

get_user_pages() marks the VMA it is called for, once, with mmap_sem taken for
writing: every page whose entry is read-only is copied, shared or not, and the
VMA is VM_DONTCOW from then on. fork shares the pages of such a VMA, then gives
the child a copy of each in its place; the child's VMA is VM_DONTCOW, too. The
parent's entries are not even write-protected meanwhile. Copies, and what is
touched first in a marked VMA, are PG_dontcow; gup-fast refuses every other page.

Holds:   device writes and device reads over fork, before or after gup, belong
         to the process that started them, without swap; gup-fast and fork cannot miss each
         other, because only gup under mmap_sem takes a page for the first time.
Breaks:  decow_one_pte() drops one of the two references that the page which is
         left had from it and from the entry, so each such page is never freed
         (refcount-leak); nobody mentions it. The child's copy is no snapshot
         (torn-fork-copy): the parent's threads store while it is made.
         What is in swap when the VMA is marked stays shared, and is taken as it
         is when it comes back: a device may then receive the child's bytes
         (foreign-dma-read). Of hugetlb ("I haven't started hugepages")
         gup-fast takes what it did, so that fork shares and the parent's store
         leaves what a device writes (lost-dma-write); slow gup clears the huge
         entries of the VMA, for no page table is there, and with them goes what
         was in the pages (refcount-leak).
Costs:   one gup copies what is shared in the VMA, whatever the buffer, and each
         fork copies all of the VMA for ever after ("It can even OOM", A.
         Arcangeli, 18:06); gup-fast never takes a page that was there, and
         writable, when the VMA was marked, for nothing marks that page.
Relies:  mmap_sem, which get_user_pages() gives up in the middle and takes for
         writing: "it isn't quite right", he says, of callers who hold it.
Source:  the patch of N. Piggin, 2009-03-12 16:23, document 003; the idea is of
         05:36. mm/memory.c:__get_user_pages, make_vma_nocow, decow_one_pte,
         copy_one_pte, copy_page_range, do_anonymous_page, do_swap_page.
         Linux v2.6.29, as in linux-2.6.29, for the rest.
Not modelled: the mutex of make_vma_nocow(), under mmap_sem. That the child maps
         the original until it has its copy is counted but not set, for nobody runs
         the child yet; so reclaim does not come in between. VM_BUG_ON(), which is
         compiled out: the one in do_wp_page() is met by a store after mprotect to
         a page that is PG_dontcow; files; who is exempt
         (GUP_FLAGS_STACK: exec, mlock, ptrace).
Variants: wrprotect, what he concedes at 17:20 and 17:23: without the "if" that
         leaves the parent's entries writable. Their TLBs are flushed at the end
         of fork only, so the copy is no snapshot still.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.abi import PAGE_SIZE
from uemu.errors import Fault
from uemu.mm.fork import copy_unlocked
from uemu.mm.mm_struct import MmStruct
from uemu.mm.notifier import invalidate_page, notifiers_of
from uemu.mm.page import Page
from uemu.mm.pte import Pte, SwapEntry
from uemu.mm.vma import Vm, Vma
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op, Step

PG_DONTCOW = "PG_dontcow"


class Piggin2009Vma(Linux2_6_29):
    """2.6.29 with VM_DONTCOW, per VMA."""

    name = "piggin-2009-vma"
    summary = "the first gup un-COWs the whole VMA and marks it; fork copies all of its pages"
    variants: ClassVar = {"wrprotect": "fork write-protects the parent's entries after all"}

    def __init__(self, variant: str = "") -> None:
        super().__init__(variant)
        # What a fork under way has counted for the child whose number this is.
        self._counted: dict[int, list[tuple[int, Page]]] = {}

    def leaks(self) -> bool:
        """See `leave`."""
        return True

    # arch/x86/mm/gup.c ----------------------------------------------------------------

    def gup_fast_may_hold(self, cpu: Cpu, page: Page) -> Op[bool]:
        """Whether the page came into a marked VMA. Linux: gup_pte_range, patched."""
        yield Step("gup_pte_range", "PageDontCOW ?")
        return cpu.read(page.flag(PG_DONTCOW))

    # mm/memory.c:__get_user_pages, make_vma_nocow ---------------------------------------

    def gup_look_at_vma(self, cpu: Cpu, mm: MmStruct, vma: Vma) -> Op[bool]:
        """Mark a COW mapping, with mmap_sem for writing; then it is looked up again."""
        if not self.must_be_marked(vma):
            return False
        lock = mm.mmap_lock
        lock.up_read(cpu)
        try:
            yield from lock.write(cpu, "get_user_pages", "mmap_sem for writing")
        except BaseException:
            lock.down_read(cpu)  # killed: the caller gives back what it took
            raise
        now = mm.find_vma(vma.vm_start)
        if now is not None and self.must_be_marked(now):
            try:
                yield from self.decow_page_range(cpu, mm, now)
            except Fault:
                lock.downgrade_write(cpu)  # -ENOMEM, and the VMA is not marked
                raise
            now.vm_flags |= Vm.DONTCOW
        lock.downgrade_write(cpu)
        return True

    def must_be_marked(self, vma: Vma) -> bool:
        """Whether it is a COW mapping and not VM_DONTCOW yet."""
        return vma.is_cow_mapping() and not vma.vm_flags & Vm.DONTCOW

    # mm/memory.c:do_anonymous_page, do_swap_page --------------------------------------------

    def first_touch(self, cpu: Cpu, vma: Vma, page: Page) -> None:
        """__SetPageDontCOW() on what is new in a marked VMA."""
        if vma.vm_flags & Vm.DONTCOW:
            cpu.write(page.flag(PG_DONTCOW), True)

    def swap_in_pte(self, cpu: Cpu, vma: Vma, page: Page, entry: SwapEntry, *, write: bool) -> Pte:
        """SetPageDontCOW() on what comes back to one."""
        if vma.vm_flags & Vm.DONTCOW:
            cpu.rmw(page.flag(PG_DONTCOW), lambda _: True)
        return super().swap_in_pte(cpu, vma, page, entry, write=write)

    # mm/memory.c:copy_one_pte, copy_page_range ----------------------------------------------

    def copy_writable_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int, pte: Pte
    ) -> Op[None]:
        """Write-protect both and share; in a marked VMA the parent's entry stays writable."""
        if vma.vm_flags & Vm.DONTCOW and self.variant != "wrprotect":
            yield from self.copy_readonly_pte(cpu, dst, vma, base, pte.wrprotect())
        else:
            yield from super().copy_writable_pte(cpu, src, dst, vma, base, pte)

    def copy_readonly_pte(self, cpu: Cpu, dst: MmStruct, vma: Vma, base: int, pte: Pte) -> Op[None]:
        """Share; what is to be de-COWed before the child runs is counted only."""
        page = self.mech.page_of(pte)
        if not vma.vm_flags & Vm.DONTCOW or not page.anon:
            yield from super().copy_readonly_pte(cpu, dst, vma, base, pte)
            return
        self.mech.get_page(cpu, page)
        self.mech.page_dup_rmap(cpu, page)
        self._counted.setdefault(dst.id, []).append((base, page))

    def copied_vma(self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma) -> Op[None]:
        """De-COW for the child what was shared with it. Linux: the end of copy_page_range."""
        counted = self._counted.pop(dst.id, [])
        for i, (base, page) in enumerate(counted):
            yield dst.page_table_lock.step("decow_one_pte", "de-COW the child's")
            dst.page_table_lock.enter(cpu)
            try:
                yield from self.decow_one_pte(cpu, dst, vma, base, page)
            except Fault:
                # -ENOMEM: the child goes, and with it what it was counted for.
                for _, left in counted[i:]:
                    self.mech.page_remove_rmap(cpu, left)
                    self.mech.put_page(cpu, left)
                raise

    # mm/memory.c:decow_page_range, decow_one_pte ----------------------------------------------

    def decow_page_range(self, cpu: Cpu, mm: MmStruct, vma: Vma) -> Op[None]:
        """Copy every page of an mm's VMA whose entry is read-only.

        As posted, the line for hugetlb is a comment, and pmd_none_or_clear_bad() clears
        a huge entry, which is no page table. Nobody flushes, nobody gives the page back.
        """
        for base in (yield from self.mech.huge_entries_in(cpu, mm, vma.vm_start, vma.vm_end)):
            yield Step("pmd_clear_bad", "no page table is there")
            self.mech.set_pmd_at(cpu, mm, base, None)
        for base in (yield from self.mech.entries_in(cpu, mm, vma.vm_start, vma.vm_end)):
            done = False
            while not done:
                yield mm.page_table_lock.step("decow_one_pte", "read-only ?")
                mm.page_table_lock.enter(cpu)
                pte = cpu.read(mm.pte(base))
                if not isinstance(pte, Pte) or pte.write:
                    break
                page = self.mech.page_of(pte)
                done = not page.anon or (yield from self.decow_one_pte(cpu, mm, vma, base, page))

    def decow_one_pte(self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, page: Page) -> Op[bool]:
        """Put a copy in the place of a page, the page table lock dropped while it is made.

        False: reclaim was faster, the entry is another one now (-EAGAIN).
        """
        mech, lock = self.mech, mm.page_table_lock
        orig_pte = cpu.read(mm.pte(base))
        mech.get_page(cpu, page)
        try:
            new = yield from copy_unlocked(mech, cpu, mm, base, page, lock, "decow_one_pte")
        except Fault:
            mech.put_page(cpu, page)
            raise
        if cpu.read(mm.pte(base)) != orig_pte:
            mech.page_remove_rmap(cpu, new)
            mech.put_page(cpu, new)
            mech.put_page(cpu, page)
            return False
        cpu.write(new.flag(PG_DONTCOW), True)
        if mech.mmu.cpus_of(mm.id) or notifiers_of(cpu, mm):
            lock.acquire(cpu)
            mech.ptep_get_and_clear(cpu, mm, base)
            yield from mech.flush_tlb_range(cpu, mm, base, base + PAGE_SIZE)
            yield from invalidate_page(cpu, mm, base)
        user = vma.vm_flags & Vm.READ != 0
        mech.set_pte_at(cpu, mm, base, Pte(new.pfn, vma.writable(), True, user))
        self.leave(cpu, page)
        lock.release(cpu)
        return True

    def leave(self, cpu: Cpu, page: Page) -> None:
        """Uncount the entry, and drop one reference, where there are two: as posted."""
        self.mech.page_remove_rmap(cpu, page)
        self.mech.put_page(cpu, page)
