"""Secondary MMUs: kvm, xpmem, gru. Linux: virt/kvm/kvm_main.c, drivers/misc/sgi-gru.

A translation is a registration of one page, for as long as no notifier takes it
away: what the guest stores goes to that frame, wherever the process's own entry
leads. Unlike a device the guest comes back: without a translation it faults, and
get_user_pages() finds what the process maps now.

All three keep faults and notifiers apart as KVM does: mmu_notifier_seq counts what
was invalidated, mmu_notifier_count who is about it. A fault reads the first, takes
the page, and maps it only if neither tells of anything meanwhile. A guest is no I/O:
of the locks that proposals have I/O hold, its faults take those of get_user_pages().

Not modelled: the guest's TLB (who drops a translation flushes it in the same step);
faults that spin while a range is invalidated (they wait for the end); that what is
mapped for a read is made writable where the process may write; huge pages, shared
memory.
"""

from __future__ import annotations

import errno

from uemu.abi import PAGE_MASK, PAGE_SIZE, Foll, page_range
from uemu.dma.engine import DmaEngine, Registration, Segment
from uemu.errors import Fault
from uemu.events import DeviceRead, DeviceWrote, EventBus, Held, IoChecked, IoStarted
from uemu.kernel.cpus import CpuPort
from uemu.kernel.io import Holder
from uemu.kernel.touch import brief, touch_buffer
from uemu.mm.gup import hold_user_pages
from uemu.mm.hooks import GupCall
from uemu.mm.lock_hooks import IoRequest
from uemu.mm.locks import SpinLock
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.notifier import register_notifier, unregister_notifier
from uemu.mm.notifier_hooks import SECONDARY_MMUS
from uemu.mm.page import Page, set_page_dirty
from uemu.mm.pte import MigrationEntry, Pte, SwapEntry
from uemu.mm.swap import show_swapped
from uemu.step import Cell, Cpu, Op, Step

PAGE_POISON = 0xAA
"""What a freed frame shows. Linux: include/linux/poison.h."""


class SecondaryMmu:
    """One secondary MMU of one address space; a `uemu.mm.notifier.MmuNotifier`.

    Attributes:
        kind: ``kvm``, ``xpmem`` or ``gru``.
        mm: whose pages it translates.
        start, end: the part of it, in bytes, whole pages.
        lock: mmu_lock.
        seq: mmu_notifier_seq.
        count: mmu_notifier_count.
        sptes: page-aligned address to its translation. mmu_lock; who stores or loads
            through it takes no lock.
    """

    def __init__(
        self,
        mech: Mechanism,
        events: EventBus,
        cpus: CpuPort,
        dma: DmaEngine,
        mm: MmStruct,
        start: int,
        end: int,
        kind: str,
    ) -> None:
        self._mech, self._emit, self._publish = mech, events.emit, events.publish
        self._cpus, self._dma = cpus, dma
        self.kind, self.mm, self.start, self.end = kind, mm, start, end
        self.use = mech.hooks.secondary_use(kind)
        self.live = True
        name = kind, mm.id, len(mm.notifiers)
        self.lock = SpinLock(("mmu_lock", *name))
        self.seq: Cell[int] = Cell(("mmu_notifier_seq", *name), 0)
        self.count: Cell[int] = Cell(("mmu_notifier_count", *name), 0)
        bases = range(start, end, PAGE_SIZE)
        self.sptes: dict[int, Cell[Registration | None]] = {
            base: Cell(("spte", *name, base), None) for base in bases
        }
        self._young = {base: Cell(("spte_young", *name, base), False) for base in bases}

    # What a guest does ----------------------------------------------------------------------

    def store(self, cpu: Cpu, offset: int, data: bytes) -> Op[None]:
        """Store ``data`` at byte ``offset`` of its memory.

        Raises:
            Fault: EFAULT, the process has no such memory any more.
        """
        for base, at, size in self._pieces(offset, len(data)):
            piece = data[at - self.start - offset :][:size]
            io = yield from self._translate(cpu, base, f"{brief(piece)} -> {self.mm.name}")
            (segment,) = io.segments
            touch_buffer(cpu, self.mm, at, size)
            self._touch(cpu, segment.pfn, at - base, size, write=True)
            if segment.pfn in self._mech.pages:
                self._dma.write(io, at - base, piece)
            self._publish(DeviceWrote, io.number, segment.pfn, at - base, piece)
            self._check(cpu, base, io)

    def load(self, cpu: Cpu, offset: int, length: int) -> Op[bytes]:
        """Load ``length`` bytes from byte ``offset`` of its memory.

        Raises:
            Fault: EFAULT, the process has no such memory any more.
        """
        read = []
        for base, at, size in self._pieces(offset, length):
            io = yield from self._translate(cpu, base, None)
            (segment,) = io.segments
            touch_buffer(cpu, self.mm, at, size, write=False)
            self._touch(cpu, segment.pfn, at - base, size, write=False)
            piece = bytes([PAGE_POISON]) * size
            if segment.pfn in self._mech.pages:
                ((_, piece),) = self._dma.read(io, at - base, size)
            self._publish(DeviceRead, io.number, segment.pfn, at - base, piece)
            self._check(cpu, base, io)
            read.append(piece)
        return b"".join(read)

    def detach(self, cpu: Cpu) -> Op[None]:
        """Let everything go. Linux: mmu_notifier_unregister()."""
        yield self.lock.step("mmu_notifier_unregister", self.kind)
        self.lock.enter(cpu)
        if self.live:
            unregister_notifier(cpu, self.mm, self)
            self._end(cpu)

    def _pieces(self, offset: int, length: int) -> list[tuple[int, int, int]]:
        """The page, the address in it and the length of each part of an access."""
        addr = self.start + offset
        if offset < 0 or length <= 0 or addr + length > self.end:
            raise ValueError(
                f"[{offset}, {offset + length}) is not inside {self.end - self.start} bytes"
            )
        pieces = []
        for base in page_range(addr, length):
            at = max(addr, base)
            pieces.append((base, at, min(addr + length, base + PAGE_SIZE) - at))
        return pieces

    def _touch(self, cpu: Cpu, pfn: int, offset: int, length: int, *, write: bool) -> None:
        cpu.touch(("rmap", pfn), write=False)
        self._mech.touch_frame(cpu, pfn, offset, length, write=write)

    def _translate(self, cpu: Cpu, base: int, stores: str | None) -> Op[Registration]:
        """The translation for an access, in the step of the access; ``stores``: its label."""
        what = f"{self.mm.name} is read" if stores is None else stores
        while True:
            yield Step(self.kind, what)
            io = cpu.read(self.sptes[base])
            if io is not None and (io.writable or stores is None):
                cpu.write(self._young[base], True)
                return io
            yield from self._fault(cpu, base, write=stores is not None)

    # Its faults -----------------------------------------------------------------------------

    def _fault(self, cpu: Cpu, base: int, *, write: bool) -> Op[None]:
        """Take the page the process maps, and map it unless somebody invalidates meanwhile.

        Linux: arch/x86/kvm/mmu.c:tdp_page_fault, mmu_notifier_retry().
        """
        mech, use = self._mech, self.use
        write = write or use.always_write
        yield Step(use.fault_fn, "mmu_notifier_seq", lambda: not self.count.value)
        cpu.read(self.count)
        seq = cpu.read(self.seq)
        if not self.live:
            raise Fault(errno.EFAULT, base, f"{self.kind} after its address space")
        foll = Foll.GET | Foll.WRITE if write else Foll.GET
        call = GupCall(foll, use.fast)
        (page,) = yield from hold_user_pages(mech, cpu, self.mm, base, PAGE_SIZE, call)
        yield self.lock.step("mmu_notifier_retry", "seq is the same ?")
        self.lock.enter(cpu)
        maps = not cpu.read(self.count) and cpu.read(self.seq) == seq and self.live
        if maps:
            self._drop(cpu, base)
            self._map(cpu, base, page, write=write)
        if not maps or not use.holds:
            yield Step(use.fault_fn, f"put pfn {page.pfn}")
            mech.put_page(cpu, page)

    def _map(self, cpu: Cpu, base: int, page: Page, *, write: bool) -> None:
        """Begin a translation. Atomic: call inside a step."""
        foll = Foll.GET if self.use.holds else Foll(0)
        request = IoRequest(self.mm, self.kind, ((base, PAGE_SIZE),), write, aio=True)
        call = GupCall(foll, self.use.fast)
        holder = Holder(self.mm, [base], (PAGE_SIZE,), call, request, (page,))
        io = self._dma.register([Segment(page.pfn, 0, PAGE_SIZE)], write, holder)
        if self.use.holds:
            self._mech.note_in_hand(cpu, page, -1)
        cpu.write(self.sptes[base], io)
        cpu.write(self._young[base], True)
        self._touch(cpu, page.pfn, 0, PAGE_SIZE, write=False)
        held = (Held(self.mm.id, base, page.pfn, 0, PAGE_SIZE),)
        self._emit(IoStarted(cpu.name, io.number, self.kind, write, True, True, False, held, True))

    def _drop(self, cpu: Cpu, base: int) -> None:
        """End a translation, and let the page go. Atomic: call inside a step."""
        io = cpu.read(self.sptes[base])
        if io is None:
            return
        cpu.write(self.sptes[base], None)
        cpu.write(self._young[base], False)
        self._emit(IoChecked(cpu.name, io.number, ((None, b""),), True))
        self._dma.end(io)
        assert isinstance(io.owner, Holder)
        (page,) = io.owner.pages
        if self.use.dirties and io.writable:
            set_page_dirty(cpu, page)
        if self.use.holds:
            self._mech.note_in_hand(cpu, page, 1)
            self._mech.put_page(cpu, page)

    def _check(self, cpu: Cpu, base: int, io: Registration) -> None:
        """Announce what the process itself would find where the guest was. Atomic: in a step.

        While its entry is being replaced it would wait, and nothing can be said.
        """
        mm = self.mm
        replaced = cpu.read(mm.page_table_lock.held)
        pte = None if replaced or mm.gone else mm.walk(cpu, base)
        seen: tuple[int | None, bytes] = (None, b"")
        if isinstance(pte, Pte):
            self._touch(cpu, pte.pfn, 0, PAGE_SIZE, write=False)
            seen = self._cpus.look(mm, base, pte, PAGE_SIZE)
        elif isinstance(pte, SwapEntry):
            slot = self._mech.swap.of(pte)
            cpu.read(slot.data)
            cpu.read(slot.cached)
            seen = show_swapped(self._mech, pte)
        elif isinstance(pte, MigrationEntry):
            seen = pte.pte.pfn, b""
        self._emit(IoChecked(cpu.name, io.number, (seen,), False))

    # What it is told ------------------------------------------------------------------------

    def _in(self, start: int, end: int) -> list[int]:
        return [base for base in self.sptes if start <= base < end]

    def invalidate_page(self, cpu: Cpu, base: int) -> Op[None]:
        """Drop one translation."""
        if base in self.sptes:
            yield self.lock.step("mmu_notifier_invalidate_page", self.kind)
            self.lock.enter(cpu)
            cpu.add(self.seq, 1)
            self._drop(cpu, base)

    def invalidate_range_start(self, cpu: Cpu, start: int, end: int) -> Op[None]:
        """Drop what is in the range, and map nothing until it is over."""
        if bases := self._in(start, end):
            yield self.lock.step("mmu_notifier_invalidate_range_start", self.kind)
            self.lock.enter(cpu)
            cpu.add(self.count, 1)
            for base in bases:
                self._drop(cpu, base)

    def invalidate_range_end(self, cpu: Cpu, start: int, end: int) -> Op[None]:
        """Faults may map again, but those that began meanwhile."""
        if self._in(start, end):
            yield self.lock.step("mmu_notifier_invalidate_range_end", self.kind)
            self.lock.enter(cpu)
            cpu.add(self.seq, 1)
            cpu.add(self.count, -1)

    def clear_flush_young(self, cpu: Cpu, base: int) -> Op[bool]:
        """Whether a translation was used, and forget it."""
        if base not in self.sptes:
            return False
        yield self.lock.step("mmu_notifier_clear_flush_young", self.kind)
        self.lock.enter(cpu)
        young = cpu.read(self._young[base])
        cpu.write(self._young[base], False)
        return young

    def release(self, cpu: Cpu) -> Op[None]:
        """The address space ends."""
        yield self.lock.step("mmu_notifier_release", self.kind)
        self.lock.enter(cpu)
        self._end(cpu)

    def _end(self, cpu: Cpu) -> None:
        self.live = False
        cpu.add(self.seq, 1)
        for base in self.sptes:
            self._drop(cpu, base)


def attach_secondary(
    mech: Mechanism,
    events: EventBus,
    cpus: CpuPort,
    dma: DmaEngine,
    cpu: Cpu,
    mm: MmStruct,
    addr: int,
    length: int,
    kind: str,
) -> Op[SecondaryMmu]:
    """Let a secondary MMU translate ``[addr, addr + length)``. Linux: mmu_notifier_register().

    Raises:
        Fault: EFAULT, not mapped; EINVAL, not page-aligned, or memory that is not private
            and of base pages; ENOSYS, that kernel has no notifiers.
        ValueError: no such kind.
    """
    check_kind(kind)
    if not mech.hooks.has_mmu_notifier:
        raise Fault(errno.ENOSYS, addr, f"mmu notifiers under {mech.hooks.name}")
    if addr % PAGE_SIZE or length <= 0:
        raise Fault(errno.EINVAL, addr, f"{kind}: the address must be a multiple of {PAGE_SIZE}"
                    f" and the length positive, not {length}")  # fmt: skip
    yield from mm.mmap_lock.write_once(cpu, "mmu_notifier_register", kind)
    end = addr + ((length + PAGE_SIZE - 1) & PAGE_MASK)
    if not mm.covers(addr, end):
        raise Fault(errno.EFAULT, addr, f"{kind} of what is not mapped")
    for vma in mm.vmas:
        inside = vma.vm_start < end and addr < vma.vm_end
        if inside and (vma.may_be_huge() or vma.vm_file is not None):
            raise Fault(errno.EINVAL, addr, f"{kind} of memory that is huge or shared")
    secondary = SecondaryMmu(mech, events, cpus, dma, mm, addr, end, kind)
    register_notifier(cpu, mm, secondary)
    return secondary


def check_kind(kind: str) -> None:
    """Raise ValueError unless ``kind`` is a secondary MMU that is known."""
    if kind not in SECONDARY_MMUS:
        raise ValueError(f"unknown secondary MMU {kind!r}; known: {', '.join(SECONDARY_MMUS)}")
