"""The kernel: one policy, its memory, its devices, as operations on CPUs.

Everything here is a generator of Steps or says that it is atomic. Run to the
end (`uemu.step.run`) these operations are the kernel of a live machine;
advanced step by step they are a model.
"""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import dataclass

from uemu.abi import (
    GUP_PIN_COUNTING_BIAS,
    MADV_DOFORK,
    MADV_DONTFORK,
    MADV_DONTNEED,
    MADV_KEEPONFORK,
    MADV_WIPEONFORK,
    PAGE_MASK,
    PAGE_SIZE,
    PROT_READ,
    PROT_WRITE,
    Direction,
    Foll,
    page_range,
)
from uemu.dma.engine import DmaEngine, Io, Registration, Segment, Transfer
from uemu.errors import Fault
from uemu.events import (
    DeviceRead,
    DeviceWrote,
    EventBus,
    Held,
    IoChecked,
    IoStarted,
    Loaded,
    Seen,
    Stored,
)
from uemu.mm import check
from uemu.mm.fault import do_user_fault
from uemu.mm.fork import dup_mmap
from uemu.mm.frames import FrameStore
from uemu.mm.gup import gup_release, hold_user_pages
from uemu.mm.hooks import APIS, GupCall, PolicyHooks
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MMAP_END, MmStruct
from uemu.mm.mmu import MmuPort, PageFault, SimulatedMmu
from uemu.mm.mprotect import mprotect
from uemu.mm.munmap import exit_mmap, madvise_dontneed, munmap
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.mm.vma import Vm, Vma, vm_flags_of
from uemu.step import Cpu, Op, Step

SECTOR = 512
"""The alignment direct I/O asks of addresses and lengths, in bytes."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the pages of an I/O, and how: the `Io.owner` of this kernel.

    Attributes:
        mm: the address space the pages were looked up in.
        addr: where the buffer began there, in bytes.
        call: the reference taken.
        api: on whose behalf.
        pages: one per segment.
    """

    mm: MmStruct
    addr: int
    call: GupCall
    api: str
    pages: tuple[Page, ...]


class Kernel:
    """Frames, a policy, an MMU and devices, joined.

    Attributes:
        hooks: the policy.
        mech: the mechanism and its pages.
        dma: the devices.
        events: where everything that happens is announced.
    """

    def __init__(
        self,
        hooks: PolicyHooks,
        frames: FrameStore,
        mmu: MmuPort,
        events: EventBus,
        *,
        ipi_waits_for_gup_fast: bool = True,
    ) -> None:
        self.hooks = hooks
        self.frames = frames
        self.mmu = mmu
        self.events = events
        self.mech = Mechanism(
            hooks, frames, mmu, events, ipi_waits_for_gup_fast=ipi_waits_for_gup_fast
        )
        hooks.mech = self.mech
        self.dma = DmaEngine(frames)

    # Address spaces ---------------------------------------------------------------------

    def mm_create(self, name: str) -> MmStruct:
        """Begin an address space with nothing in it (exec)."""
        return self.mech.mm_alloc(name)

    def fork(self, cpu: Cpu, mm: MmStruct, name: str = "child") -> Op[MmStruct]:
        """Return a child of ``mm``. Linux: kernel/fork.c:dup_mm."""
        return dup_mmap(self.mech, cpu, mm, name)

    def exit_mm(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        """Tear down an address space nobody runs in any more."""
        return exit_mmap(self.mech, cpu, mm)

    def mmap(
        self, cpu: Cpu, mm: MmStruct, length: int, prot: int = PROT_READ | PROT_WRITE
    ) -> Op[int]:
        """Map ``length`` bytes of private anonymous memory; return its address.

        Each mapping is followed by an unmapped page.

        Raises:
            Fault: EINVAL, the length is not positive; ENOMEM, there is no room.
        """
        yield mm.mmap_lock.write_step("mmap", "a new VMA")
        mm.mmap_lock.enter(cpu)
        if length <= 0:
            raise Fault(errno.EINVAL, 0, f"mmap of {length} bytes")
        size = (length + PAGE_SIZE - 1) & PAGE_MASK
        addr = mm.next_addr
        if addr + size > MMAP_END:
            raise Fault(errno.ENOMEM, 0, f"mmap of {length} bytes")
        mm.next_addr = addr + size + PAGE_SIZE
        mm.insert_vma(Vma(addr, addr + size, vm_flags_of(prot) | Vm.MAYWRITE))
        return addr

    def munmap(self, cpu: Cpu, mm: MmStruct, addr: int, length: int) -> Op[None]:
        """Unmap whole pages.

        Raises:
            Fault: EINVAL, ``addr`` is not page-aligned or the length not positive.
        """
        start, end = _page_aligned(addr, length, "munmap")
        return munmap(self.mech, cpu, mm, start, end)

    def mprotect(self, cpu: Cpu, mm: MmStruct, addr: int, length: int, prot: int) -> Op[None]:
        """Change the protection of whole pages.

        Raises:
            Fault: EINVAL (alignment), ENOMEM (not mapped).
        """
        start, end = _page_aligned(addr, length, "mprotect")
        return mprotect(self.mech, cpu, mm, start, end, prot)

    def madvise(self, cpu: Cpu, mm: MmStruct, addr: int, length: int, advice: int) -> Op[None]:
        """MADV_DONTFORK, DOFORK, WIPEONFORK, KEEPONFORK, DONTNEED.

        Raises:
            Fault: EINVAL (alignment, unknown advice), ENOMEM (not mapped).
        """
        start, end = _page_aligned(addr, length, "madvise")
        if advice == MADV_DONTNEED:
            yield from madvise_dontneed(self.mech, cpu, mm, start, end)
            return
        changes = {
            MADV_DONTFORK: (Vm.DONTCOPY, 0),
            MADV_DOFORK: (0, Vm.DONTCOPY),
        }
        if self.hooks.has_wipeonfork:
            changes[MADV_WIPEONFORK] = (Vm.WIPEONFORK, 0)
            changes[MADV_KEEPONFORK] = (0, Vm.WIPEONFORK)
        if advice not in changes:
            raise Fault(errno.EINVAL, addr, f"madvise {advice} under {self.hooks.name}")
        yield mm.mmap_lock.write_step("madvise_behavior", "new VMA flags")
        mm.mmap_lock.enter(cpu)
        if not mm.covers(start, end):
            raise Fault(errno.ENOMEM, addr, "madvise of what is not mapped")
        on, off = changes[advice]
        for vma in mm.vmas_in(start, end):
            vma.vm_flags = (vma.vm_flags | on) & ~off

    def fault(self, cpu: Cpu, mm: MmStruct, addr: int, *, write: bool) -> Op[None]:
        """Handle a trap; afterwards the access may be tried again.

        Raises:
            Fault: EFAULT, the program's own SIGSEGV.
        """
        return do_user_fault(self.mech, cpu, mm, addr, write=write)

    # I/O ---------------------------------------------------------------------------------

    def dio_submit(
        self, cpu: Cpu, mm: MmStruct, addr: int, length: int, direction: Direction, api: str
    ) -> Op[Transfer]:
        """Hold the buffer's pages and start a transfer over them.

        Raises:
            Fault: EFAULT, not mapped or not allowed; EINVAL, alignment.
        """
        from_device = direction is Direction.FROM_DEVICE
        if APIS[api].long_term:
            raise ValueError(f"{api} registers its buffers; use register()")
        if api == "o_direct" and (addr % SECTOR or length % SECTOR):
            raise Fault(errno.EINVAL, addr, f"O_DIRECT wants multiples of {SECTOR} bytes")
        if from_device and APIS[api].process_reads:
            raise ValueError(f"{api} reads memory; a device cannot write through it")
        call = self.hooks.gup_kind(api, write=from_device)
        holder = yield from self._hold(cpu, mm, addr, length, call, api)
        transfer = self.dma.start(_segments(holder, length), direction, holder)
        self._announce(cpu, transfer, from_device=from_device, to_device=not from_device)
        return transfer

    def register(
        self, cpu: Cpu, mm: MmStruct, addr: int, length: int, writable: bool, api: str
    ) -> Op[Registration]:
        """Hold the buffer's pages until `release`.

        Raises:
            Fault: EFAULT, not mapped or not allowed.
        """
        call = self.hooks.gup_kind(api, write=writable)
        holder = yield from self._hold(cpu, mm, addr, length, call, api)
        registration = self.dma.register(_segments(holder, length), writable, holder)
        self._announce(cpu, registration, from_device=writable, to_device=True)
        return registration

    def _hold(
        self, cpu: Cpu, mm: MmStruct, addr: int, length: int, call: GupCall, api: str
    ) -> Op[Holder]:
        if length <= 0:
            raise Fault(errno.EINVAL, addr, f"a buffer of {length} bytes")
        pages = yield from hold_user_pages(self.mech, cpu, mm, addr, length, call)
        return Holder(mm, addr, call, api, tuple(pages))

    def _announce(self, cpu: Cpu, io: Io, *, from_device: bool, to_device: bool) -> None:
        holder = _holder(io)
        for segment in io.segments:
            cpu.touch(("rmap", segment.pfn), write=False)
        self.events.emit(
            IoStarted(
                cpu.name,
                io.number,
                holder.api,
                from_device,
                to_device,
                APIS[holder.api].long_term,
                Foll.PIN in holder.call.foll,
                tuple(_held(io)),
            )
        )

    def dma_write(self, cpu: Cpu, io: Io, start: int, data: bytes) -> Op[None]:
        """The device stores ``data`` at byte ``start`` of the buffer it holds."""
        yield self._moving(io, f"{_brief(data)} -> pfn {_pfns(io)}")
        for segment in io.segments:
            # Who sees the frame at this moment is part of what happens.
            cpu.touch(("rmap", segment.pfn), write=False)
        for chunk, piece in self.dma.write(io, start, data):
            self.mech.touch_frame(cpu, chunk.pfn, chunk.offset, chunk.length, write=True)
            holder = _holder(io)
            _touch_buffer(cpu, holder.mm, holder.addr + start + chunk.start, chunk.length)
            self.events.emit(DeviceWrote(io.number, chunk.pfn, chunk.offset, piece))
        if isinstance(io, Registration):
            self.io_check(cpu, io, final=False)

    def dma_read(self, cpu: Cpu, io: Io, start: int, length: int) -> Op[bytes]:
        """The device loads ``length`` bytes from byte ``start`` of the buffer it holds."""
        yield self._moving(io, f"device <- pfn {_pfns(io)}")
        read = []
        for chunk, piece in self.dma.read(io, start, length):
            self.mech.touch_frame(cpu, chunk.pfn, chunk.offset, chunk.length, write=False)
            self.events.emit(DeviceRead(io.number, chunk.pfn, chunk.offset, piece))
            read.append(piece)
        if isinstance(io, Registration):
            self.io_check(cpu, io, final=False)
        return b"".join(read)

    def _moving(self, io: Io, what: str) -> Step:
        """The label of a device's access: it waits for nobody.

        With a registration each access is a request of its own, after which
        the holder looks, in the same step.
        """
        if isinstance(io, Registration):
            return self._looking(io, "dma", what)
        return Step("dma", what)

    def _looking(self, io: Io, fn: str, what: str) -> Step:
        """The label of a step that also looks at the buffer as its holder does.

        It waits while an entry of that mm is being replaced: whoever looks
        then faults and waits for the page table lock.
        """
        return _holder(io).mm.page_table_lock.step(fn, what)

    def io_check(self, cpu: Cpu, io: Io, *, final: bool) -> None:
        """Announce what the holder sees of its buffer now. Atomic: call inside a step."""
        holder = _holder(io)
        holder.mm.page_table_lock.enter(cpu)
        cpu.touch(("unmapped", holder.mm.id), write=False)
        seen: list[tuple[int | None, bytes]] = []
        for held in _held(io):
            base = held.addr & PAGE_MASK
            pte = None
            if not holder.mm.gone:
                pte = cpu.read(holder.mm.pte(base))
            if isinstance(pte, Pte):
                self.mech.touch_frame(cpu, pte.pfn, held.offset, held.length, write=False)
                seen.append((pte.pfn, self.frames.read(pte.pfn, held.offset, held.length)))
            else:
                seen.append((None, b""))
        self.events.emit(IoChecked(cpu.name, io.number, tuple(seen), final))

    def dio_complete(self, cpu: Cpu, transfer: Transfer) -> Op[None]:
        """The request is over: look, and give the pages back. Linux: dio_complete()."""
        holder = _holder(transfer)
        pin = Foll.PIN in holder.call.foll
        fn = "unpin_user_page" if pin else "put_page"
        yield self._looking(transfer, fn, f"release pfn {_pfns(transfer)}")
        self._finish(cpu, transfer)

    def release(self, cpu: Cpu, registration: Registration) -> Op[None]:
        """Give the pages of a registration back."""
        yield self._looking(registration, "release", f"release pfn {_pfns(registration)}")
        self._finish(cpu, registration)

    def _finish(self, cpu: Cpu, io: Io) -> None:
        holder = _holder(io)
        if not io.live:
            raise ValueError(f"I/O {io.number} is over")
        self.io_check(cpu, io, final=True)
        self.dma.end(io)
        for page in holder.pages:
            gup_release(self.mech, cpu, page, holder.call.foll)

    # What a simulated CPU does in user mode ---------------------------------------------------

    def store(self, cpu: Cpu, mm: MmStruct, addr: int, data: bytes) -> Op[None]:
        """A store instruction per page that ``data`` touches, on the simulated MMU.

        Raises:
            Fault: EFAULT, the program's own SIGSEGV.
        """
        mmu = self._simulated()
        for piece_addr, piece in _by_page(addr, data):
            while True:
                yield Step("store", f"{_brief(piece)} -> {mm.name}")
                found = mmu.translate(cpu, mm, piece_addr, write=True)
                if not isinstance(found, PageFault):
                    break
                yield from self.fault(cpu, mm, piece_addr, write=True)
            offset = piece_addr % PAGE_SIZE
            self.mech.touch_frame(cpu, found, offset, len(piece), write=True)
            _touch_buffer(cpu, mm, piece_addr, len(piece))
            self.frames.write(found, offset, piece)
            self.events.emit(Stored(cpu.name, mm.id, piece_addr, found, piece))

    def load(self, cpu: Cpu, mm: MmStruct, addr: int, length: int) -> Op[bytes]:
        """A load instruction per page, on the simulated MMU.

        Raises:
            Fault: EFAULT, the program's own SIGSEGV.
        """
        mmu = self._simulated()
        read = []
        for piece_addr, size in _split(addr, length):
            while True:
                yield Step("load", f"{mm.name} reads")
                found = mmu.translate(cpu, mm, piece_addr, write=False)
                if not isinstance(found, PageFault):
                    break
                yield from self.fault(cpu, mm, piece_addr, write=False)
            offset = piece_addr % PAGE_SIZE
            self.mech.touch_frame(cpu, found, offset, size, write=False)
            data = self.frames.read(found, offset, size)
            self.events.emit(Loaded(cpu.name, mm.id, piece_addr, found, data))
            read.append(data)
        return b"".join(read)

    def _simulated(self) -> SimulatedMmu:
        if not isinstance(self.mmu, SimulatedMmu):
            raise TypeError("on real processes, real CPUs load and store")
        return self.mmu

    def look(self) -> None:
        """Announce what every address space shows. Precondition: nothing is under way."""
        for mm in list(self.mech.mms.values()):
            for base, cell in mm.ptes.items():
                pte = cell.peek()
                if isinstance(pte, Pte) and pte.user:
                    data = self.frames.read(pte.pfn, 0, PAGE_SIZE)
                    self.events.emit(Seen(mm.id, base, pte.pfn, data))

    # Checks --------------------------------------------------------------------------------

    def holds(self) -> Counter[int]:
        """What devices hold: pfn to the references it adds to the page's count."""
        held: Counter[int] = Counter()
        for io in self.dma.live.values():
            holder = _holder(io)
            for page in holder.pages:
                held[page.pfn] += GUP_PIN_COUNTING_BIAS if Foll.PIN in holder.call.foll else 1
        return held

    def check(self, *, at_rest: bool) -> None:
        """Check every invariant of the mechanism.

        Raises:
            InvariantError: one does not hold.
        """
        check.check_all(self.mech, self.holds(), at_rest=at_rest)


def _holder(io: Io) -> Holder:
    if not isinstance(io.owner, Holder):
        raise TypeError(f"I/O {io.number} was not started by this kernel")
    return io.owner


def _segments(holder: Holder, length: int) -> list[Segment]:
    segments = []
    addr, end = holder.addr, holder.addr + length
    for page in holder.pages:
        stop = min(end, (addr & PAGE_MASK) + PAGE_SIZE)
        segments.append(Segment(page.pfn, addr % PAGE_SIZE, stop - addr))
        addr = stop
    return segments


def _held(io: Io) -> list[Held]:
    holder = _holder(io)
    held, addr = [], holder.addr
    for segment in io.segments:
        held.append(Held(holder.mm.id, addr, segment.pfn, segment.offset, segment.length))
        addr += segment.length
    return held


def _touch_buffer(cpu: Cpu, mm: MmStruct, addr: int, length: int) -> None:
    """Let an explorer know that it matters who stores to these addresses last.

    The frames may be two: a device writes the one it holds, wherever the
    holder's own stores go.
    """
    if cpu.recording:
        for sector in range(addr // SECTOR, (addr + length - 1) // SECTOR + 1):
            cpu.touch(("buffer", mm.id, sector), write=True)


def _pfns(io: Io) -> str:
    return ",".join(str(segment.pfn) for segment in io.segments)


def _brief(data: bytes) -> str:
    return repr(data if len(data) <= 4 else data[:1])


def _page_aligned(addr: int, length: int, what: str) -> tuple[int, int]:
    if addr % PAGE_SIZE or length <= 0:
        raise Fault(errno.EINVAL, addr, f"{what}: the address must be a multiple of {PAGE_SIZE}"
                    f" and the length positive, not {length}")  # fmt: skip
    return addr, addr + ((length + PAGE_SIZE - 1) & PAGE_MASK)


def _split(addr: int, length: int) -> list[tuple[int, int]]:
    pieces = []
    for base in page_range(addr, length):
        start, stop = max(addr, base), min(addr + length, base + PAGE_SIZE)
        pieces.append((start, stop - start))
    return pieces


def _by_page(addr: int, data: bytes) -> list[tuple[int, bytes]]:
    return [(at, data[at - addr : at - addr + size]) for at, size in _split(addr, len(data))]
