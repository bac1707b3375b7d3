"""A range lock for direct I/O (KAMEZAWA, 2009-03-16): COW waits where a device is at work.

Direct I/O writes the addresses of its buffer down in mm->diolock before it
looks pages up. A write fault that has to copy looks there first: if its
address is under I/O, it gives up, and the CPU faults again and again until the
I/O is over. While a copy is being made, or for 10 ticks after a fault had to
give up, new I/O waits. fork is left alone; the child has a registry of its
own, which is empty. The rest is 2.6.29, and 2.6.18 had no gup-fast.

The range is [PAGE_ALIGN(start), PAGE_ALIGN(end) + PAGE_SIZE), and PAGE_ALIGN
rounds up: it has a page too many at its end, and of a buffer that begins in
the middle of a page it has that page only because a fault counts as the page
of bytes from its raw address on. So a store to byte 0 is not held back, one
to any other byte is.

Holds:   direct I/O of whole pages that was submitted before COW had to be
         broken, over fork, AIO or not, in both directions.
Breaks:  a read into the end of a page is lost as before when the neighbour
         stores to byte 0 of that page (lost-dma-write). A child that stores
         nothing sees what the device writes (dma-write-seen-by-other). A
         direct read into a page that fork shares already never returns
         (deadlock, a busy loop in the kernel): gup's own fault finds the
         range that its own call registered, holding mmap_sem, and goes on
         only if the child leaves the page. Faults wait for I/O, those of
         neighbours and of the page behind the buffer too (fork-blocked).
         Nobody but direct I/O registers. No copy of a huge page is held back:
         mm_cow_start() is called with a size in place of an end, so that none
         ever conflicts; hugetlb is 2.6.18's, which asks page_count.
Costs:   a lock and a list that are looked at by each direct I/O and, once
         the process did one, by each COW; a page allocated, and freed, for
         each turn of a fault that is retried.
Relies:  faults and gup hold mmap_sem: need_dio_check is set with it held for
         writing, so that no copy under way was not counted.
Source:  KAMEZAWA Hiroyuki, 2009-03-16 23:59, document 003, "the last patch I
         sent to redhat (againat RHEL5) but ignored", of January, for 2.6.18:
         mm/diolock.c, fs/direct-io.c:dio_protect_all, mm/memory.c:do_wp_page.
         In 2.6.18 get_user_pages() hands the address it was called with to
         the fault as it is, plus whole pages, and direct I/O calls it with
         the buffer's own.
Not modelled: the loops. A fault that is retried waits until its next turn
         would end otherwise: the I/O is over, the entry has changed, or one
         PTE is left to map the page; what it does to ``conflicts`` it does
         once. The 10 ticks are a step that may come at any time, as a timer
         may and as every end of an I/O makes it. That copies
         of huge pages are counted, and new I/O waits for them; signals and lack of memory, after
         which direct I/O goes on unregistered or leaves its entry behind;
         that a registered range keeps an mm whose processes are gone. The
         page lock is given back in the step that takes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from uemu.abi import PAGE_MASK, PAGE_SIZE, Foll
from uemu.errors import Fault
from uemu.mm.fault import wp_page_copy, wp_page_gotten, wp_page_reuse
from uemu.mm.hooks import NeedFault
from uemu.mm.lock_hooks import IoRequest
from uemu.mm.locks import FairRwSem, RwSem, SpinLock
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, is_locked
from uemu.mm.pte import Pte
from uemu.mm.vma import Vma
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cell, Cpu, Op, Step


@dataclass(frozen=True, slots=True)
class DioLockEnt:
    """A piece of a buffer under direct I/O. Linux: struct dio_lock_ent.

    Attributes:
        request: the call it belongs to.
        start, end: the addresses that are registered, in bytes.
    """

    request: IoRequest
    start: int
    end: int


class DioLockHead:
    """What one mm's direct I/O and COW know of each other. Linux: struct dio_lock_head.

    Attributes:
        lock: of all below but need_dio_check; never held for more than a step.
        dios: what is registered.
        need_dio_check: this mm did direct I/O once. mmap_lock.
        cows: how many copies are being made.
        conflicts: how many faults gave up since new I/O waited for them.
    """

    def __init__(self, mm: MmStruct) -> None:
        self.lock = SpinLock(("diolock", mm.id))
        self.dios: Cell[tuple[DioLockEnt, ...]] = Cell(("dios", mm.id), ())
        self.need_dio_check: Cell[bool] = Cell(("need_dio_check", mm.id), False)
        self.cows: Cell[int] = Cell(("cows", mm.id), 0)
        self.conflicts: Cell[int] = Cell(("conflicts", mm.id), 0)

    def no_cow_runs(self) -> bool:
        """Whether new I/O may look on."""
        return self.lock.is_free() and self.cows.peek() == 0


def conflict(dios: tuple[DioLockEnt, ...], start: int, end: int) -> bool:
    """Whether ``[start, end)`` meets a registered range."""
    return any(start < ent.end and end > ent.start for ent in dios)


@dataclass(frozen=True, slots=True)
class Retry:
    """A fault that gave up, and will come again.

    Attributes:
        addr: the raw address it was for.
        pte: the entry it found.
        page: what that maps.
    """

    head: DioLockHead
    mm: MmStruct
    addr: int
    pte: Pte
    page: Page

    def ends_otherwise(self) -> bool:
        """Whether the next turn would not give up, if it came now."""
        return (
            self.mm.pte(self.addr & PAGE_MASK).peek() != self.pte
            or self._nobody_shares()
            or not conflict(self.head.dios.peek(), self.addr, self.addr + PAGE_SIZE)
        )

    def _nobody_shares(self) -> bool:
        """Whether reuse_swap_page() would be asked, and say yes."""
        slot = self.page.swap.peek()
        count = self.page.mapcount.peek() + (slot.count.peek() if slot is not None else 0)
        return count == 1 and not (self.page.locked.peek() or self.page.ksm.peek())

    def look(self, cpu: Cpu) -> None:
        """Read what `ends_otherwise` looked at. Atomic: call inside a step."""
        cpu.read(self.mm.pte(self.addr & PAGE_MASK))
        cpu.read(self.page.mapcount)
        cpu.read(self.page.locked)
        cpu.read(self.page.ksm)
        slot = cpu.read(self.page.swap)
        if slot is not None:
            cpu.read(slot.count)
        cpu.read(self.head.dios)


class Kamezawa2009DioLock(Linux2_6_29):
    """L: ranges under direct I/O; W retries inside them; F as in 2.6.29; G is slow."""

    name = "kamezawa-2009-dio-lock"
    summary = "COW is retried while direct I/O is at work there, new I/O waits for COW"
    read_fault_maps_zero_page = True
    makes_wait = True
    not_for_programs = "faults wait for direct I/O, and a program that runs cannot be made to"
    mmap_lock_type: ClassVar[type[RwSem]] = FairRwSem

    def __init__(self, variant: str = "") -> None:
        super().__init__(variant)
        self._heads: dict[int, DioLockHead] = {}
        self._pieces: dict[str, tuple[tuple[int, int], ...]] = {}
        self._retries: dict[str, Retry] = {}

    def diolock(self, mm: MmStruct) -> DioLockHead:
        """An mm's; fork begins a fresh one. Linux: get_mm_private(mm)->diolock."""
        head = self._heads.get(mm.id)
        if head is None:
            head = self._heads[mm.id] = DioLockHead(mm)
        return head

    # fs/direct-io.c -------------------------------------------------------------------

    def io_begin(self, cpu: Cpu, request: IoRequest) -> Op[None]:
        """Register the buffer, piece by piece. Linux: dio_protect_all()."""
        is_dio = request.api == "o_direct"
        self._pieces[cpu.name] = request.iov if is_dio else ()
        if is_dio:
            for addr, length in request.iov:
                yield from self.dio_lock(cpu, request, addr, addr + length)

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        """Take the buffer out, once dio_complete() has run. Linux: dio_unlock()."""
        head = self.diolock(request.mm)
        if request.api == "o_direct":
            head.lock.enter(cpu)
            left = tuple(ent for ent in cpu.read(head.dios) if ent.request is not request)
            cpu.write(head.dios, left)

    # mm/diolock.c ---------------------------------------------------------------------

    def dio_lock(self, cpu: Cpu, request: IoRequest, start: int, end: int) -> Op[None]:
        """Wait for copies under way, and for who gave up; then register."""
        head, mm = self.diolock(request.mm), request.mm
        yield Step("dio_lock", "need_dio_check ?")
        if not cpu.read(head.need_dio_check):
            yield from self.set_need_dio_check(cpu, head, mm)
        while True:
            yield Step("dio_lock", "no COW under way", head.no_cow_runs, True)
            head.lock.enter(cpu)
            cpu.read(head.cows)
            if not cpu.read(head.conflicts):
                break
            yield Step("dio_lock", "10 ticks for COW to retry")
            cpu.write(head.conflicts, 0)
        ent = self.dio_lock_ent(request, start, end)
        cpu.write(head.dios, (*cpu.read(head.dios), ent))

    def set_need_dio_check(self, cpu: Cpu, head: DioLockHead, mm: MmStruct) -> Op[None]:
        """From now on COW asks; no copy that did not ask is under way."""
        yield from mm.mmap_lock.write_once(cpu, "dio_lock", f"{self.lock_name} for writing")
        cpu.rmw(head.need_dio_check, lambda _: True)

    def dio_lock_ent(self, request: IoRequest, start: int, end: int) -> DioLockEnt:
        """The range that is registered for ``[start, end)``: PAGE_ALIGN() rounds up."""
        return DioLockEnt(request, _page_align(start), _page_align(end) + PAGE_SIZE)

    def mm_cow_start(self, cpu: Cpu, head: DioLockHead, addr: int) -> bool:
        """Count a copy that begins, unless it has to give up. Atomic: call inside a step."""
        head.lock.enter(cpu)
        if conflict(cpu.read(head.dios), addr, addr + PAGE_SIZE):
            cpu.write(head.conflicts, cpu.read(head.conflicts) + 1)
            return False
        cpu.write(head.cows, cpu.read(head.cows) + 1)
        return True

    def mm_cow_end(self, cpu: Cpu, head: DioLockHead) -> None:
        """A copy was made, or was in vain. Atomic: call inside a step."""
        head.lock.enter(cpu)
        left = cpu.read(head.cows) - 1
        cpu.write(head.cows, left)
        if not left:
            cpu.write(head.conflicts, 0)

    # mm/memory.c ----------------------------------------------------------------------

    def do_wp_page(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, *, unshare: bool = False
    ) -> Op[None]:
        """As in 2.6.29, but ask before a page that is not the zero page is copied."""
        mech, lock, head = self.mech, mm.page_table_lock, self.diolock(mm)
        yield lock.step("do_wp_page", "mapcount == 1 ?")
        lock.enter(cpu)
        pte = cpu.read(mm.pte(base))
        if not isinstance(pte, Pte) or pte.write:
            return
        page = mech.page_of(pte)
        # 2.6.18 does not wait for a page lock that it cannot have: it copies.
        if not page.reserved and not is_locked(cpu, page) and self.reuse_swap_page(cpu, page):
            wp_page_reuse(mech, cpu, mm, vma, base, pte)
            return
        # mmap_sem keeps need_dio_check as it is until the copy is made.
        if page.reserved or not cpu.read(head.need_dio_check):
            yield from wp_page_copy(mech, cpu, mm, vma, base, pte, page)
            return
        mech.get_page(cpu, page)
        yield head.lock.step("mm_cow_start", "direct I/O here ?")
        addr = self.raw_address(cpu, base)
        if not self.mm_cow_start(cpu, head, addr):
            mech.put_page(cpu, page)
            self._retries[cpu.name] = Retry(head, mm, addr, pte, page)
            return
        try:
            yield from wp_page_gotten(mech, cpu, mm, vma, base, pte, page)
        except Fault:
            self.mm_cow_end(cpu, head)  # the patch allocates first, and counts then
            raise
        self.mm_cow_end(cpu, head)

    def raw_address(self, cpu: Cpu, base: int) -> int:
        """What a fault at page ``base`` is for, in bytes: gup adds whole pages to its start."""
        for addr, length in self._pieces.get(cpu.name, ()):
            if addr & PAGE_MASK <= base < addr + length:
                return base + addr % PAGE_SIZE
        return base

    # Retries --------------------------------------------------------------------------

    def fault_begin(self, cpu: Cpu, mm: MmStruct, addr: int, *, write: bool) -> Op[None]:
        """A CPU traps, perhaps because the same fault gave up just now."""
        self._pieces[cpu.name] = ((addr, 1),)
        yield from self.retried(cpu, mm, addr & PAGE_MASK, "do_page_fault")

    def follow_page_pte(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault]:
        """As before; get_user_pages() looks again after a fault that gave up."""
        yield from self.retried(cpu, mm, base, "get_user_pages")
        return (yield from super().follow_page_pte(cpu, mm, vma, base, foll))

    def retried(self, cpu: Cpu, mm: MmStruct, base: int, fn: str) -> Op[None]:
        """Wait, if this CPU's last fault at ``base`` gave up, until it would not."""
        retry = self._retries.pop(cpu.name, None)
        if retry is not None and retry.mm is mm and retry.addr & PAGE_MASK == base:
            yield Step(fn, "retry: direct I/O is at work here", retry.ends_otherwise)
            retry.look(cpu)

    def gup_fast_begin(self, cpu: Cpu, mm: MmStruct, foll: Foll) -> Op[int | None]:
        """There is no get_user_pages_fast(): direct I/O takes mmap_sem. Since v2.6.27."""
        return None
        yield  # pragma: no cover


def _page_align(addr: int) -> int:
    """Linux: PAGE_ALIGN()."""
    return (addr + PAGE_SIZE - 1) & PAGE_MASK
