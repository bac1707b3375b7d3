"""Linux 2.6.29, the baseline of the debate: do_wp_page asks the mapcount.

fork write-protects both entries and shares the page. On a write fault the
page is reused if one PTE maps it, else the *writer* gets a copy; references
that devices hold are not looked at. A page of hugetlb is reused if it has one
reference in all.

Holds:   a store by one process is never seen by another.
Breaks:  a device write in flight over fork is lost by the process that
         started it when it stores first (lost-dma-write), and seen by its
         child (dma-write-seen-by-other); a device that reads memory receives
         the child's bytes when the parent left the page first
         (foreign-dma-read). Of hugetlb: the write is lost even when the child
         is gone already, but no device receives another's bytes.
Costs:   nothing at fork; gup-fast takes one atomic per page.
Relies:  gup-fast runs with interrupts off, so that munmap's TLB flush waits.
Source:  Linux v2.6.29, mm/memory.c:copy_one_pte, do_wp_page, follow_page;
         mm/swapfile.c:reuse_swap_page; arch/x86/mm/gup.c:gup_pte_range;
         mm/hugetlb.c:copy_hugetlb_page_range, hugetlb_cow, follow_hugetlb_page.
         The race: Message-ID <20090311183748.GK27823@random.random>
         (A. Arcangeli, 2009-03-11), document 003.
Not modelled: that a write fault has the page lock for a moment: it is given back
         in the step that takes it, and who finds it taken waits; what
         `uemu.mm.hugetlb` does not model.

Race: lost-read uemu1:0001111122222222003333 -> lost-dma-write, dma-write-seen-by-other

    #   io          fork              cpu               child       note             state
    --  ----------  ----------------  ----------------  ----------  ---------------  --------------
    0   get_user_                                                   interrupts off   0: 1/1 1/1
        pages_fast
    1   gup_pte_                                                    writable ?       0: 1/1 1/1
        range
    2   get_page                                                    hold pfn 0       0: 2/1 1/1
    3               dup_mmap                                        mmap_sem for     0: 2/1 1/1
                                                                    writing
    4               copy_one_pte                                    share read-only  0: 3/2 1/1
    5               copy_one_pte                                    share read-only  0: 3/2 2/2
    6               flush_tlb_others                                IPI to io        0: 3/2 2/2
    7               flush_tlb_others                                IPI to cpu       0: 3/2 2/2
    8                                 store                         b'P' -> parent   0: 3/2 2/2
    9                                 do_page_fault                 mmap_sem         0: 3/2 2/2
    10                                do_wp_page                    mapcount == 1 ?  0: 4/2 2/2
    11                                cow_user_page                 copy the frame   0: 4/2 2/2 1/0
    12                                do_wp_page                    pte_same ?       -: 4/2 2/2 1/0
    13                                flush_tlb_others              IPI to io        -: 4/2 2/2 1/0
    14                                flush_tlb_others              IPI to fork      2: 2/1 2/2 1/1
    15                                store                         b'P' -> parent   2: 2/1 2/2 1/1
    16  dma                                                         b'D' -> pfn 0    2: 2/1 2/2 1/1
    17  put_page                                                    release pfn 0    2: 1/1 2/2 1/1
    18                                                  store       b'C' -> child    2: 1/1 2/2 1/1
    19                                                  do_page_    mmap_sem         2: 1/1 2/2 1/1
                                                        fault
    20                                                  do_wp_page  mapcount == 1 ?  2: 1/1 2/2 1/1
    21                                                  store       b'C' -> child    2: 1/1 2/2 1/1

State: the frame the parent maps, then count/mapcount of pfn 0, 1, ...
"""

from __future__ import annotations

from typing import ClassVar

from uemu.abi import Foll
from uemu.mm.fault import wp_page_copy, wp_page_reuse
from uemu.mm.fork import share_page
from uemu.mm.grab import gup_grab
from uemu.mm.hooks import NeedFault, PolicyHooks
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, is_locked, lock_page, unlock_page
from uemu.mm.pte import Pte
from uemu.mm.vma import Vma
from uemu.step import Cpu, Op, Step


class Linux2_6_29(PolicyHooks):
    """W asks the mapcount; F shares; G is a plain get.

    Attributes:
        copy_looks: what fork does in the step that looks at an entry, for drawings.
        wp_looks: the same for a write fault.
        copy_one_fn: what that step's function was called.
        foll_anon: whether a read gup of untouched memory takes the zero page and
            maps nothing, instead of a fault.
    """

    name = "linux-2.6.29"
    year = 2009
    summary = "fork shares, a write fault asks the mapcount, gup takes a plain reference"
    read_fault_maps_zero_page = False
    has_wipeonfork = False
    has_soft_dirty = False
    has_ksm = False
    pagevec_size = 14
    lock_name = "mmap_sem"
    fault_fn = "do_page_fault"
    copy_fn = "do_wp_page"
    mprotect_fn = "sys_mprotect"
    copy_looks: ClassVar[str] = "share read-only"
    wp_looks: ClassVar[str] = "mapcount == 1 ?"
    copy_one_fn: ClassVar[str] = "copy_one_pte"
    foll_anon: ClassVar[bool] = True

    def copy_present_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int
    ) -> Op[None]:
        """Look at the entry under the page table lock. Linux: mm/memory.c:copy_one_pte."""
        yield src.page_table_lock.step(self.copy_one_fn, self.copy_looks)
        src.page_table_lock.enter(cpu)
        pte = cpu.read(src.pte(base))
        if not isinstance(pte, Pte):
            return
        if vma.is_cow_mapping() and pte.write:
            yield from self.copy_writable_pte(cpu, src, dst, vma, base, pte)
        else:
            yield from self.copy_readonly_pte(cpu, dst, vma, base, pte)

    def copy_writable_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int, pte: Pte
    ) -> Op[None]:
        """Write-protect both, share.

        Precondition: in the step that looked at ``pte``.
        """
        pte = pte.wrprotect()
        self.mech.ptep_set_wrprotect(cpu, src, base, pte)
        yield from self.copy_readonly_pte(cpu, dst, vma, base, pte)

    def copy_readonly_pte(self, cpu: Cpu, dst: MmStruct, vma: Vma, base: int, pte: Pte) -> Op[None]:
        """Share what is read-only by now.

        Precondition: in the step that looked at the parent's entry.
        """
        share_page(self.mech, cpu, dst, base, pte)
        return
        yield  # pragma: no cover

    def do_wp_page(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, *, unshare: bool = False
    ) -> Op[None]:
        """Reuse the page, or copy it. Linux: mm/memory.c:do_wp_page.

        Nobody asks for an unshare fault before linux-5.19.
        """
        lock = mm.page_table_lock
        yield lock.step("do_wp_page", self.wp_looks)
        lock.enter(cpu)
        pte = cpu.read(mm.pte(base))
        if not isinstance(pte, Pte) or pte.write:
            return
        page = self.mech.page_of(pte)
        reuse: bool | None = False
        if not page.reserved:
            reuse = yield from self.reuse_anon_page(cpu, mm, base, pte, page)
        if reuse and not unshare:
            wp_page_reuse(self.mech, cpu, mm, vma, base, pte)
        lock.release(cpu)
        if reuse is False:
            yield from wp_page_copy(self.mech, cpu, mm, vma, base, pte, page, writable=not unshare)

    def reuse_anon_page(
        self, cpu: Cpu, mm: MmStruct, base: int, pte: Pte, page: Page
    ) -> Op[bool | None]:
        """Whether a write fault takes the page over; None if the entry is not ``pte`` any more.

        Begins and ends in a step that has the page table lock, which it may keep.
        """
        waits = is_locked(cpu, page)
        if waits and not (yield from self.lock_page_and_look_again(cpu, mm, base, pte, page)):
            return None
        reuse = self.reuse_swap_page(cpu, page)
        if waits:
            unlock_page(cpu, page)
        return reuse

    def lock_page_and_look_again(
        self, cpu: Cpu, mm: MmStruct, base: int, orig_pte: Pte, page: Page
    ) -> Op[bool]:
        """Wait for the page lock without the page table lock; whether the entry is still the same.

        Precondition: in the step in which trylock_page() failed. If it is the
        same the caller has the page lock, and the page table lock in this step.
        """
        lock = mm.page_table_lock
        self.mech.get_page(cpu, page)
        yield from lock_page(cpu, page)
        yield lock.step("do_wp_page", "locked: pte_same ?")
        lock.enter(cpu)
        cell = mm.pte(base) if orig_pte.nr == 1 else mm.pmd(base)
        same = cpu.read(cell) == orig_pte
        if not same:
            unlock_page(cpu, page)
        self.mech.put_page(cpu, page)
        return same

    def follow_page_pte(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault]:
        """A read takes whatever is mapped. Linux: mm/memory.c:follow_page."""
        lock = mm.page_table_lock
        yield lock.step("follow_page", "hold the page")
        lock.enter(cpu)
        pte = cpu.read(mm.pte(base))
        write = Foll.WRITE in foll
        if pte is None and not write and self.foll_anon:
            return self.hold_zero_page(cpu, foll)
        if not isinstance(pte, Pte) or (write and not pte.write):
            return NeedFault.WRITE if write else NeedFault.READ
        page = self.mech.page_of(pte)
        gup_grab(self.mech, cpu, page, foll)
        return page

    def hold_zero_page(self, cpu: Cpu, foll: Foll) -> Page:
        """A read gup of untouched memory maps nothing. Linux: follow_page, FOLL_ANON."""
        page = self.mech.zero_page()
        gup_grab(self.mech, cpu, page, foll)
        return page

    def gup_fast_pte(self, cpu: Cpu, mm: MmStruct, base: int, foll: Foll) -> Op[Page | None]:
        """Read the entry, take the reference. Linux: arch/x86/mm/gup.c:gup_pte_range."""
        pte = yield from self.gup_fast_look(cpu, mm, base, foll)
        if pte is None:
            return None
        page = self.mech.page_of(pte)
        if not (yield from self.gup_fast_may_hold(cpu, page)):
            return None
        yield Step("get_page", f"hold pfn {pte.pfn}")
        gup_grab(self.mech, cpu, page, foll)
        return page

    def gup_fast_look(self, cpu: Cpu, mm: MmStruct, base: int, foll: Foll) -> Op[Pte | None]:
        """The entry, if its flags allow what is asked for."""
        yield Step("gup_pte_range", "writable ?" if Foll.WRITE in foll else "present ?")
        pte = cpu.read(mm.pte(base))
        if not isinstance(pte, Pte) or not pte.user:
            return None
        if Foll.WRITE in foll and not pte.write:
            return None
        if self.mech.page_of(pte).reserved:  # _PAGE_SPECIAL, pte_special()
            return None
        return pte

    def gup_fast_may_hold(self, cpu: Cpu, page: Page) -> Op[bool]:
        """Whether gup-fast may take the page it found: here, always."""
        return True
        yield  # pragma: no cover
