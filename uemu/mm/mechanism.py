"""What every kernel here shares: pages, page tables, and the means to change them.

The functions of `uemu.mm` take the `Mechanism` first and ask its ``hooks``
(the policy) wherever kernels differ. Those marked "Atomic: call inside a
step" do not yield.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from uemu.abi import PAGE_SIZE
from uemu.errors import Fault, InvariantError
from uemu.events import (
    EventBus,
    ForkCopyBegan,
    ForkCopyEnded,
    MmCreated,
    MmGone,
    MmId,
    PageCopied,
    PageFreed,
    PteSet,
    TlbFlushed,
)
from uemu.mm.frames import FrameStore
from uemu.mm.locks import SpinLock
from uemu.mm.mm_struct import HPAGE_NR, MmStruct
from uemu.mm.mmu import MmuPort
from uemu.mm.page import Page, page_mapcount
from uemu.mm.pagevec import LruPagevecs, lru_cache_add
from uemu.mm.pte import AnyPte, Pte
from uemu.mm.swap import SwapDevice
from uemu.mm.vma import AddressSpace
from uemu.step import Cpu, Op, Step

if TYPE_CHECKING:
    from uemu.mm.hooks import PolicyHooks

SECTOR = 512
"""The grain in which accesses to a frame's bytes conflict."""


class Mechanism:
    """Physical memory, the address spaces and the ports they are applied to.

    Attributes:
        hooks: the policy.
        frames: where the bytes are.
        mmu: what page tables are applied to.
        publish: announces an event.
        pages: live page records by pfn.
        in_hand: what recording CPUs have taken and not given away yet, by the
            CPU's name and the pfn: references of no PTE and no device.
        mms: live address spaces by number.
        swap: the swap device.
        frame_limit: how many frames there are, the page of zeros included; None: as
            many as anybody wants. Not modelled: reclaim, for want of frames.
        ipi_waits_for_gup_fast: whether a TLB flush by IPI waits for CPUs that
            run with interrupts off, as on x86; elsewhere it may not.
        pagevecs: where fresh pages wait for the LRU; None: they do not wait.
        hpage_nr: how many pages a huge page has.
        hugetlb_mutex: serialises the faults on pages of hugetlb.
    """

    def __init__(
        self,
        hooks: PolicyHooks,
        frames: FrameStore,
        mmu: MmuPort,
        events: EventBus,
        *,
        ipi_waits_for_gup_fast: bool = True,
        pagevecs: bool = False,
        hpage_nr: int = HPAGE_NR,
    ) -> None:
        self.hooks = hooks
        self.frames = frames
        self.mmu = mmu
        self.publish = events.publish
        self.pages: dict[int, Page] = {}
        self.in_hand: dict[tuple[str, int], int] = {}
        self.mms: dict[MmId, MmStruct] = {}
        self.frame_limit: int | None = None
        self.ipi_waits_for_gup_fast = ipi_waits_for_gup_fast
        self.swap = SwapDevice()
        self.pagevecs: LruPagevecs | None = None
        if pagevecs and hooks.pagevec_size:
            self.pagevecs = LruPagevecs(self, hooks.pagevec_size)
        self.hpage_nr = hpage_nr
        self.hugetlb_mutex = SpinLock(("hugetlb_instantiation_mutex",))
        self._zero_page: Page | None = None
        self._next_mm: MmId = 0
        self._next_object = 0

    # Address spaces -----------------------------------------------------------

    def mm_alloc(self, name: str, parent: MmStruct | None = None) -> MmStruct:
        """Begin an address space; it maps nothing yet."""
        mm = MmStruct(self._next_mm, name, self.hooks.mmap_lock_type, self.hpage_nr)
        self._next_mm += 1
        self.mms[mm.id] = mm
        if parent is not None:
            mm.next_addr = parent.next_addr
        self.mmu.mm_created(mm.id, parent.id if parent else None)
        self.publish(MmCreated, mm.id, name, parent.id if parent else None)
        return mm

    def mm_free(self, mm: MmStruct) -> None:
        """End an address space that maps nothing any more."""
        mm.gone = True
        del self.mms[mm.id]
        self.mmu.mm_gone(mm.id)
        self.publish(MmGone, mm.id)

    def new_object(self, nr_pages: int) -> AddressSpace:
        """Begin an object of shared memory; an area that maps it keeps it."""
        self._next_object += 1
        return AddressSpace(self._next_object, nr_pages)

    # Pages --------------------------------------------------------------------

    def alloc_page(self, cpu: Cpu, near: int) -> Page:
        """Take a frame with undefined contents and one reference. Linux: alloc_page_vma().

        Raises:
            Fault: ENOMEM, `frame_limit` frames are in use.
        """
        self._take_frames(cpu, near, 1)
        pfn = self.frames.alloc(near)
        page = self.pages[pfn] = Page(pfn)
        self.note_in_hand(cpu, page, 1)
        return page

    def alloc_compound(self, cpu: Cpu, near: int, *, hugetlb: bool) -> Page:
        """Take the frames of a huge page, with undefined contents and one reference: its head.

        ``near``: the huge-aligned address it will be mapped at.
        Linux: alloc_huge_page(), alloc_hugepage_vma().

        Raises:
            Fault: ENOMEM.
        """
        self._take_frames(cpu, near, self.hpage_nr)
        pages = []
        for i in range(self.hpage_nr):
            pfn = self.frames.alloc(near + i * PAGE_SIZE)
            page = self.pages[pfn] = Page(pfn)
            pages.append(page)
        head = pages[0]
        head.prep_compound_page(pages[1:], hugetlb=hugetlb)
        self.note_in_hand(cpu, head, 1)
        return head

    def _take_frames(self, cpu: Cpu, near: int, nr: int) -> None:
        """See that there are so many left."""
        if self.frame_limit is not None:
            cpu.touch(("frames",), write=True)
            if len(self.pages) + nr > self.frame_limit:
                raise Fault(errno.ENOMEM, near, f"{self.frame_limit} page frames are in use")

    def subpages(self, page: Page) -> list[Page]:
        """All the pages of the compound page that ``page`` belongs to, itself if to none."""
        first = page.head.pfn
        return [self.pages[pfn] for pfn in range(first, first + page.nr)]

    def zero_page(self) -> Page:
        """The page of zeros that is mapped on a read of untouched memory. Linux: ZERO_PAGE(0)."""
        if self._zero_page is None:
            pfn = self.frames.alloc(0)
            self.frames.zero(pfn)
            self._zero_page = self.pages[pfn] = Page(pfn, reserved=True)
        return self._zero_page

    def page_of(self, pte: Pte) -> Page:
        """The page a present entry names. Linux: pte_page()."""
        return self.pages[pte.pfn]

    def note_in_hand(self, cpu: Cpu, page: Page, n: int) -> None:
        """Note that a CPU got ``n`` references, or gave them to a PTE or a device."""
        if cpu.recording and not page.reserved:
            key = cpu.name, page.head.pfn
            left = self.in_hand.pop(key, 0) + n
            if left:
                self.in_hand[key] = left

    def get_page(self, cpu: Cpu, page: Page, n: int = 1) -> None:
        """Take ``n`` references. Linux: get_page()."""
        cpu.count(page.refcount, n)
        self.note_in_hand(cpu, page, n)
        if page.refcount.peek() <= n:
            raise InvariantError("pinned-page-freed", f"{page!r} was free when it was taken")

    def put_page(self, cpu: Cpu, page: Page, n: int = 1) -> None:
        """Drop ``n`` references; the last frees the frame. Linux: put_page().

        While a PTE maps the page this is not the last, and nobody looks: see `uemu.mm.page`.
        """
        self.note_in_hand(cpu, page, -n)
        if cpu.recording and (page.reserved or page_mapcount(cpu, page) > 0):
            cpu.count(page.refcount, -n)
            left = page.refcount.peek()
        else:
            left = cpu.add(page.refcount, -n)
        if page.reserved or left > 0:
            return
        pages = self.subpages(page)
        if left < 0 or any(each.mapcount.peek() for each in pages):
            raise InvariantError("refcount-leak", f"{page!r} lost a reference it did not have")
        if self.frame_limit is not None:
            cpu.touch(("frames",), write=True)
        for each in pages:
            del self.pages[each.pfn]
            self.frames.free(each.pfn)
            self.publish(PageFreed, each.pfn)

    def touch_frame(self, cpu: Cpu, pfn: int, offset: int, length: int, *, write: bool) -> None:
        """Let an explorer know that bytes of a frame are accessed."""
        if cpu.recording:
            for sector in range(offset // SECTOR, (offset + length - 1) // SECTOR + 1):
                cpu.touch(("data", pfn, sector), write=write)

    def copy_page(self, cpu: Cpu, mm: MmStruct, base: int, dst: Page, src: Page, fn: str) -> None:
        """Copy a frame nobody can store to. Linux: copy_user_highpage(). Atomic: inside a step."""
        if cpu.recording:
            self.touch_frame(cpu, src.pfn, 0, PAGE_SIZE, write=False)
        dst_pfn, src_pfn = dst.pfn, src.pfn
        self.frames.copy(dst_pfn, src_pfn)
        self.publish(PageCopied, cpu.name, mm.id, base, src_pfn, dst_pfn, fn)

    def copy_page_for_fork(
        self, cpu: Cpu, mm: MmStruct, base: int, dst: Page, src: Page, fn: str
    ) -> Op[None]:
        """Copy a frame for a child while the parent's other CPUs may store to it.

        Two steps, for two halves: a store may land in between. Where CPUs are
        real, nobody stores while fork runs, and it is one.
        """
        yield Step(fn, "copy the frame for the child")
        if not cpu.recording:
            self.copy_page(cpu, mm, base, dst, src, fn)
            return
        began = self.frames.read(src.pfn, 0, PAGE_SIZE)
        self.publish(ForkCopyBegan, cpu.name, mm.id, base, src.pfn, dst.pfn, began)
        self._copy_half(cpu, dst, src, 0)
        yield Step(fn, "and its second half")
        self._copy_half(cpu, dst, src, PAGE_SIZE // 2)
        self.publish(PageCopied, cpu.name, mm.id, base, src.pfn, dst.pfn, fn)
        ended = self.frames.read(dst.pfn, 0, PAGE_SIZE)
        self.publish(ForkCopyEnded, cpu.name, mm.id, base, src.pfn, dst.pfn, ended)

    def _copy_half(self, cpu: Cpu, dst: Page, src: Page, offset: int) -> None:
        half = PAGE_SIZE // 2
        self.touch_frame(cpu, src.pfn, offset, half, write=False)
        self.frames.write(dst.pfn, offset, self.frames.read(src.pfn, offset, half))

    # Reverse mapping ----------------------------------------------------------

    def page_add_new_anon_rmap(self, cpu: Cpu, page: Page) -> None:
        """Count the first PTE that maps a fresh page, which is to go to the LRU now.

        Linux: page_add_new_anon_rmap(), lru_cache_add_active_or_unevictable().
        """
        cpu.write(page.mapcount, 1)
        self.note_in_hand(cpu, page, -1)
        lru_cache_add(self, cpu, page)

    def page_dup_rmap(self, cpu: Cpu, page: Page) -> None:
        """Count one more PTE. Linux: page_dup_rmap()."""
        cpu.count(page.mapcount, 1)
        self.note_in_hand(cpu, page, -1)

    def page_remove_rmap(self, cpu: Cpu, page: Page) -> None:
        """Count one PTE less. Linux: page_remove_rmap()."""
        if not page.reserved:
            cpu.count(page.mapcount, -1)
            self.note_in_hand(cpu, page, 1)

    # Page table entries ---------------------------------------------------------

    def set_pte_at(self, cpu: Cpu, mm: MmStruct, base: int, pte: AnyPte) -> None:
        """Write an entry, by a plain store. Linux: set_pte_at(). Atomic: call inside a step."""
        cell = mm.pte(base)
        old = cell.value
        cpu.write(cell, pte)
        self._changed_pte(cpu, mm, base, old, pte)

    def set_pmd_at(self, cpu: Cpu, mm: MmStruct, base: int, pmd: AnyPte) -> None:
        """Write a huge entry. Linux: set_pmd_at(), set_huge_pte_at(). Atomic: inside a step."""
        cell = mm.pmd(base)
        old = cell.value
        cpu.write(cell, pmd)
        self._changed_pmd(cpu, mm, base, old, pmd)

    def pmdp_set_wrprotect(self, cpu: Cpu, mm: MmStruct, base: int, pmd: Pte) -> None:
        """Take _PAGE_RW from a huge entry, which leaves ``pmd``. Atomic: call inside a step.

        Linux: pmdp_set_wrprotect(), huge_ptep_set_wrprotect().
        """
        old = cpu.rmw(mm.pmd(base), lambda _: pmd)
        self._changed_pmd(cpu, mm, base, old, pmd)

    def pmdp_get_and_clear(self, cpu: Cpu, mm: MmStruct, base: int) -> None:
        """Clear a huge entry. Linux: huge_ptep_get_and_clear(). Atomic: call inside a step."""
        old = cpu.rmw(mm.pmd(base), lambda _: None)
        self._changed_pmd(cpu, mm, base, old, None)

    def pmdp_invalidate(self, cpu: Cpu, mm: MmStruct, base: int) -> None:
        """Take a huge entry away until `pmd_populate`. Atomic: call inside a step.

        The page table lock is kept meanwhile, and nobody is told: what is mapped stays.
        """
        cpu.rmw(mm.pmd(base), lambda _: None)

    def pmd_populate(self, cpu: Cpu, mm: MmStruct, base: int, pmd: Pte) -> None:
        """Map what ``pmd`` mapped by entries for single pages. Atomic: call inside a step."""
        for i in range(pmd.nr):
            cpu.write(mm.pte(base + i * PAGE_SIZE), pmd.sub(i))

    def _changed_pmd(self, cpu: Cpu, mm: MmStruct, base: int, old: AnyPte, pmd: AnyPte) -> None:
        """A huge entry is to the MMU, and to whoever listens, what its pages are."""
        for i in range(mm.hpage_nr):
            was = old.sub(i) if isinstance(old, Pte) else old
            now = pmd.sub(i) if isinstance(pmd, Pte) else pmd
            self._changed_pte(cpu, mm, base + i * PAGE_SIZE, was, now)

    def ptep_set_wrprotect(self, cpu: Cpu, mm: MmStruct, base: int, pte: Pte) -> None:
        """Take _PAGE_RW from an entry, which leaves ``pte``. Atomic: call inside a step.

        A locked clear_bit(). Linux: arch/x86/include/asm/pgtable.h:ptep_set_wrprotect().
        """
        old = cpu.rmw(mm.pte(base), lambda _: pte)
        self._changed_pte(cpu, mm, base, old, pte)

    def ptep_get_and_clear(self, cpu: Cpu, mm: MmStruct, base: int) -> None:
        """Clear an entry, by xchg. Linux: ptep_get_and_clear(). Atomic: call inside a step."""
        old = cpu.rmw(mm.pte(base), lambda _: None)
        self._changed_pte(cpu, mm, base, old, None)

    def _changed_pte(self, cpu: Cpu, mm: MmStruct, base: int, old: AnyPte, pte: AnyPte) -> None:
        """Tell whoever has to know of an entry that was written."""
        old_pfn = old.pfn if type(old) is Pte else None
        pfn = pte.pfn if type(pte) is Pte else None
        if cpu.recording:
            # Who maps a frame is what the oracle asks when a device writes it.
            for touched in (old_pfn, pfn):
                if touched is not None and pfn != old_pfn:
                    cpu.touch(("rmap", touched), write=True)
        self.mmu.set_pte(mm.id, base, old, pte)
        write = type(pte) is Pte and pte.write
        self.publish(PteSet, cpu.name, mm.id, base, old_pfn, pfn, write)

    def entries_in(self, cpu: Cpu, mm: MmStruct, start: int, end: int) -> Op[list[int]]:
        """The addresses in ``[start, end)`` that have an entry; begin inside a step.

        To find an entry empty is to read it, too. One that is empty only while
        somebody puts another in its place is waited for: he has the page table
        lock meanwhile. Linux: pte_offset_map_lock().
        """
        lock = mm.page_table_lock
        if cpu.read(lock.held):
            yield lock.step("pte_offset_map_lock", "an entry is being replaced")
            lock.enter(cpu)
        if cpu.recording:
            for base in range(start, end, PAGE_SIZE):
                cpu.touch(("pte", mm.id, base), write=False)
        return mm.bases_in(start, end)

    def huge_entries_in(self, cpu: Cpu, mm: MmStruct, start: int, end: int) -> Op[list[int]]:
        """The addresses in ``[start, end)`` that have a huge entry; begin inside a step.

        As `entries_in`; where nothing may be huge it looks at nothing.
        """
        size = mm.hpage_size
        cells = [mm.pmds[base] for base in sorted(mm.pmds) if start <= base <= end - size]
        if not cells:
            return []
        lock = mm.page_table_lock
        if cpu.read(lock.held):
            yield lock.step("pmd_trans_huge_lock", "an entry is being replaced")
            lock.enter(cpu)
        return [cell.name[2] for cell in cells if cpu.read(cell) is not None]

    def flush_tlb_range(self, cpu: Cpu, mm: MmStruct, start: int, end: int) -> Op[None]:
        """Make every CPU of ``mm`` forget its translations of ``[start, end)``.

        The calling CPU flushes its own TLB in the step under way and sends an
        IPI to each other CPU that runs ``mm``; each of them is a step, which
        waits while that CPU has interrupts off.

        Not modelled: that the IPIs go out together; here one waits for the
        other. Linux: arch/x86/mm/tlb.c:flush_tlb_others.
        """
        cpu.touch(("mm_cpumask", mm.id), write=False)
        targets = self.mmu.cpus_of(mm.id)
        if not targets:
            return
        self.mmu.flush(cpu, cpu, mm.id, start, end)
        for target in targets:
            if target is not cpu:
                yield Step("flush_tlb_others", f"IPI to {target.name}", self._ipi_enabled(target))
                cpu.read(target.irqs_off)
                self.mmu.flush(cpu, target, mm.id, start, end)
                self.publish(TlbFlushed, cpu.name, mm.id, target.name, start, end)

    def _ipi_enabled(self, target: Cpu) -> Callable[[], bool] | None:
        if not self.ipi_waits_for_gup_fast:
            return None
        return lambda: not target.irqs_off.peek()
