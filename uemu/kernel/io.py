"""Direct I/O and registrations: user pages, held for devices. Linux: fs/direct-io.c, mm/gup.c."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uemu.abi import PAGE_MASK, PAGE_SIZE, Direction, Foll, page_range
from uemu.dma.engine import DmaEngine, Io, Registration, Segment, Transfer
from uemu.errors import Fault, InvariantError, ProcessDied
from uemu.events import DeviceRead, DeviceWrote, EventBus, Held, IoChecked, IoStarted, Moved
from uemu.kernel.cpus import CpuPort
from uemu.kernel.touch import brief, touch_buffer
from uemu.mm.grab import nr_refs
from uemu.mm.gup import hold_user_pages, release_user_page
from uemu.mm.hooks import APIS, GupCall
from uemu.mm.lock_hooks import IoRequest
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, set_page_dirty
from uemu.mm.pte import MigrationEntry, Pte, SwapEntry
from uemu.mm.swap import show_swapped
from uemu.step import Cpu, Op, Step

DIO_PAGES = 64
"""How many pages one call of get_user_pages takes. Linux: fs/direct-io.c."""

MANY = 8
"""More frames than these are not listed one by one in the label of a step."""

Iov = Sequence[tuple[int, int]]
"""The pieces of a buffer: address and length, in bytes."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the pages of an I/O, and how: the `Io.owner` of this kernel.

    Attributes:
        mm: the address space the pages were looked up in.
        addrs: where each page's bytes are there now; mremap moves them.
        lengths: how many bytes of each page.
        call: the reference taken.
        request: the call that took it.
        pages: one per segment.
    """

    mm: MmStruct
    addrs: list[int]
    lengths: tuple[int, ...]
    call: GupCall
    request: IoRequest
    pages: tuple[Page, ...]

    @property
    def api(self) -> str:
        """On whose behalf."""
        return self.request.api


class IoPaths:
    """From a system call to the device and back.

    Attributes:
        dma: the devices.
    """

    def __init__(self, mech: Mechanism, events: EventBus, cpus: CpuPort) -> None:
        self._mech = mech
        self._cpus = cpus
        self._emit = events.emit
        self._publish = events.publish
        self.dma = DmaEngine(mech.frames)
        events.watch(Moved, self._moved)

    def _moved(self, event: Moved) -> None:
        """Follow the buffers that mremap moves."""
        for io in self.dma.live.values():
            holder = _holder(io)
            for i, addr in enumerate(holder.addrs):
                if holder.mm.id == event.mm and event.start <= addr < event.end:
                    holder.addrs[i] = addr - event.start + event.to

    def dio_submit(
        self,
        cpu: Cpu,
        mm: MmStruct,
        iov: Iov,
        direction: Direction,
        api: str,
        *,
        aio: bool = False,
    ) -> Op[Transfer]:
        """Hold the pages of a buffer in one or more pieces and start a transfer over them.

        ``aio``: the call that submits it does not wait for its end.

        Raises:
            Fault: EFAULT, not mapped or not allowed; EINVAL, alignment.
        """
        from_device = direction is Direction.FROM_DEVICE
        if APIS[api].long_term:
            raise ValueError(f"{api} registers its buffers; use register()")
        unit = self._mech.hooks.dio_multiple
        for addr, length in iov:
            if api == "o_direct" and (addr % unit or length % unit):
                raise Fault(errno.EINVAL, addr, f"O_DIRECT wants multiples of {unit} bytes")
        if from_device and APIS[api].process_reads:
            raise ValueError(f"{api} reads memory; a device cannot write through it")
        call = self._mech.hooks.gup_kind(api, write=from_device)
        aio = aio or APIS[api].process_reads
        request = IoRequest(mm, api, tuple(iov), from_device, aio)
        holder = yield from self._hold(cpu, request, call)
        transfer = self.dma.start(_segments(holder), direction, holder)
        self._announce(cpu, transfer, from_device=from_device, to_device=not from_device)
        return transfer

    def register(
        self, cpu: Cpu, mm: MmStruct, addr: int, length: int, writable: bool, api: str
    ) -> Op[Registration]:
        """Hold the buffer's pages until `release`.

        Raises:
            Fault: EFAULT, not mapped or not allowed.
        """
        call = self._mech.hooks.gup_kind(api, write=writable)
        request = IoRequest(mm, api, ((addr, length),), writable, aio=True)
        holder = yield from self._hold(cpu, request, call)
        registration = self.dma.register(_segments(holder), writable, holder)
        self._announce(cpu, registration, from_device=writable, to_device=True)
        return registration

    def _hold(self, cpu: Cpu, request: IoRequest, call: GupCall) -> Op[Holder]:
        mm = request.mm
        yield from self._mech.hooks.io_begin(cpu, request)
        pages: list[Page] = []
        addrs: list[int] = []
        lengths: list[int] = []
        try:
            for addr, length in request.iov:
                if length <= 0:
                    raise Fault(errno.EINVAL, addr, f"a buffer of {length} bytes")
                for at, size in _batches(addr, length):
                    pages += yield from hold_user_pages(self._mech, cpu, mm, at, size, call)
                for base in page_range(addr, length):
                    addrs.append(max(addr, base))
                    lengths.append(min(addr + length, base + PAGE_SIZE) - addrs[-1])
            yield from self._mech.hooks.io_pages_held(cpu, request, pages)
        except (Fault, InvariantError, ProcessDied):
            for page in pages:
                release_user_page(self._mech, cpu, page, call.foll)
            if request.aio:
                self._mech.hooks.io_return(cpu, request)
            self._mech.hooks.io_end(cpu, request)
            raise
        return Holder(mm, addrs, tuple(lengths), call, request, tuple(pages))

    def _announce(self, cpu: Cpu, io: Io, *, from_device: bool, to_device: bool) -> None:
        holder = _holder(io)
        for page in holder.pages:
            self._mech.note_in_hand(cpu, page, -nr_refs(page, holder.call.foll))
        for segment in io.segments:
            cpu.touch(("rmap", segment.pfn), write=False)
            self._mech.touch_frame(cpu, segment.pfn, segment.offset, segment.length, write=False)
        self._emit(
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
        if holder.request.aio:
            self._mech.hooks.io_return(cpu, holder.request)

    def dma_write(self, cpu: Cpu, io: Io, start: int, data: bytes) -> Op[None]:
        """The device stores ``data`` at byte ``start`` of the buffer it holds."""
        yield self._moving(io, f"{brief(data)} -> pfn {_pfns(io)}")
        for chunk, piece in self.dma.write(io, start, data):
            if cpu.recording:
                # Who sees the frame at this moment is part of what happens.
                cpu.touch(("rmap", chunk.pfn), write=False)
                self._mech.touch_frame(cpu, chunk.pfn, chunk.offset, chunk.length, write=True)
                addr = _addr_at(io, start + chunk.start)
                touch_buffer(cpu, _holder(io).mm, addr, chunk.length)
            self._publish(DeviceWrote, io.number, chunk.pfn, chunk.offset, piece)
        if isinstance(io, Registration):
            self.check(cpu, io, final=False)

    def dma_read(self, cpu: Cpu, io: Io, start: int, length: int) -> Op[bytes]:
        """The device loads ``length`` bytes from byte ``start`` of the buffer it holds."""
        yield self._moving(io, f"device <- pfn {_pfns(io)}")
        read = []
        for chunk, piece in self.dma.read(io, start, length):
            self._mech.touch_frame(cpu, chunk.pfn, chunk.offset, chunk.length, write=False)
            self._publish(DeviceRead, io.number, chunk.pfn, chunk.offset, piece)
            read.append(piece)
        if isinstance(io, Registration):
            self.check(cpu, io, final=False)
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
        then faults and waits for the page table lock. Not modelled: a page
        that is given back in the middle of such a hold.
        """
        return _holder(io).mm.page_table_lock.step(fn, what)

    def check(self, cpu: Cpu, io: Io, *, final: bool) -> None:
        """Announce what the holder sees of its buffer now. Atomic: call inside a step."""
        holder = _holder(io)
        holder.mm.page_table_lock.enter(cpu)
        seen: list[tuple[int | None, bytes]] = []
        for held in _held(io):
            base = held.addr & PAGE_MASK
            pte = None
            if not holder.mm.gone:
                pte = holder.mm.walk(cpu, base)
            if isinstance(pte, Pte):
                self._mech.touch_frame(cpu, pte.pfn, held.offset, held.length, write=False)
                pfn, data = self._cpus.look(holder.mm, held.addr, pte, held.length)
                seen.append((pfn, data if pfn != held.pfn else b""))
            elif isinstance(pte, MigrationEntry):
                seen.append((pte.pte.pfn, b""))
            elif isinstance(pte, SwapEntry):
                seen.append(self._swapped(cpu, pte, held))
            else:
                seen.append((None, b""))
        self._emit(IoChecked(cpu.name, io.number, tuple(seen), final))

    def _swapped(self, cpu: Cpu, entry: SwapEntry, held: Held) -> tuple[int, bytes]:
        """What a holder would find behind a swap entry."""
        slot = self._mech.swap.of(entry)
        cpu.read(slot.data)
        page = cpu.read(slot.cached)
        if page is not None:
            self._mech.touch_frame(cpu, page.pfn, held.offset, held.length, write=False)
        pfn, data = show_swapped(self._mech, entry)
        seen = data[held.offset : held.offset + held.length]
        return pfn, seen if pfn != held.pfn else b""

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
        self.check(cpu, io, final=True)
        self.dma.end(io)
        self._mech.hooks.io_pages_done(cpu, holder.request, holder.pages)
        for page in holder.pages:
            self._mech.note_in_hand(cpu, page, nr_refs(page, holder.call.foll))
            if _writes(io):
                set_page_dirty(cpu, page)
            release_user_page(self._mech, cpu, page, holder.call.foll)
        self._mech.hooks.io_end(cpu, holder.request)

    def holds(self) -> Counter[int]:
        """What devices hold: pfn to the references it adds to the page's count."""
        held: Counter[int] = Counter()
        for io in self.dma.live.values():
            holder = _holder(io)
            for page in holder.pages:
                held[page.head.pfn] += nr_refs(page, holder.call.foll)
        return held

    def in_use(self, mm: MmStruct) -> tuple[set[int], set[int]]:
        """What devices hold, of anybody: pfns; and what they hold it for in ``mm``: pages."""
        pfns: set[int] = set()
        bases: set[int] = set()
        for io in self.dma.live.values():
            pfns.update(segment.pfn for segment in io.segments)
            holder = _holder(io)
            if holder.mm is mm:
                bases.update(addr & PAGE_MASK for addr in holder.addrs)
        return pfns, bases

    def pages_of(self, io: Io) -> dict[int, set[int]]:
        """The pages that an I/O is for: each pfn, and where its holder had it, as addresses."""
        pages: dict[int, set[int]] = {}
        for addr, segment in zip(_holder(io).addrs, io.segments, strict=True):
            pages.setdefault(segment.pfn, set()).add(addr & PAGE_MASK)
        return pages


def _holder(io: Io) -> Holder:
    if not isinstance(io.owner, Holder):
        raise TypeError(f"I/O {io.number} was not started by this kernel")
    return io.owner


def _batches(addr: int, length: int) -> Iterator[tuple[int, int]]:
    """Address and length of what one call of get_user_pages takes."""
    end = addr + length
    while addr < end:
        stop = min(end, (addr & PAGE_MASK) + DIO_PAGES * PAGE_SIZE)
        yield addr, stop - addr
        addr = stop


def _segments(holder: Holder) -> list[Segment]:
    parts = zip(holder.addrs, holder.lengths, holder.pages, strict=True)
    return [Segment(page.pfn, addr % PAGE_SIZE, length) for addr, length, page in parts]


def _writes(io: Io) -> bool:
    """Whether the device may have written the memory."""
    if isinstance(io, Transfer):
        return io.direction is Direction.FROM_DEVICE
    return isinstance(io, Registration) and io.writable


def _held(io: Io) -> list[Held]:
    holder = _holder(io)
    return [
        Held(holder.mm.id, addr, segment.pfn, segment.offset, segment.length)
        for addr, segment in zip(holder.addrs, io.segments, strict=True)
    ]


def _addr_at(io: Io, at: int) -> int:
    """The user address of byte ``at`` of the buffer."""
    for held in _held(io):
        if at < held.length:
            return held.addr + at
        at -= held.length
    raise ValueError(f"I/O {io.number} has no such byte")


def _pfns(io: Io) -> str:
    """``3,4``; many that follow each other are ``0-63``."""
    pfns = [segment.pfn for segment in io.segments]
    if len(pfns) > MANY and pfns == list(range(pfns[0], pfns[0] + len(pfns))):
        return f"{pfns[0]}-{pfns[-1]}"
    return ",".join(map(str, pfns))
