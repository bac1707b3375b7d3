"""Page frames and the records of them: taken, counted, copied, given back.

Linux: mm/page_alloc.c, mm/rmap.c. Those marked "Atomic: call inside a step" do not yield.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from uemu.abi import PAGE_SIZE
from uemu.errors import Fault, InvariantError
from uemu.events import EventBus, ForkCopyBegan, ForkCopyEnded, PageCopied, PageFreed
from uemu.mm.frames import FrameStore
from uemu.mm.page import Page, page_mapcount
from uemu.mm.pagevec import LruPagevecs, lru_cache_add
from uemu.mm.pte import Pte
from uemu.step import Cpu, Op, Step

if TYPE_CHECKING:
    from uemu.mm.mm_struct import MmStruct

SECTOR = 512
"""The grain in which accesses to a frame's bytes conflict."""


class Pages:
    """Physical memory.

    Attributes:
        frames: where the bytes are.
        publish: announces an event.
        pages: live page records by pfn.
        in_hand: what recording CPUs have taken and not given away yet, by the
            CPU's name and the pfn: references of no PTE and no device.
        frame_limit: how many frames there are, the page of zeros included; None: as
            many as anybody wants. Not modelled: reclaim, for want of frames.
        pagevecs: where fresh pages wait for the LRU; None: they do not wait.
        hpage_nr: how many pages a huge page has.
    """

    def __init__(self, frames: FrameStore, events: EventBus, hpage_nr: int) -> None:
        self.frames = frames
        self.publish = events.publish
        self.pages: dict[int, Page] = {}
        self.in_hand: dict[tuple[str, int], int] = {}
        self.frame_limit: int | None = None
        self.pagevecs: LruPagevecs | None = None
        self.hpage_nr = hpage_nr
        self._zero_page: Page | None = None

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
