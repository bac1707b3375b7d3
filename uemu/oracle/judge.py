"""The oracle: watches events, says which property was violated, and tells the story.

Structure first: it follows which mm maps a frame that a device holds. When
the device accesses the frame, or a request is over, it compares frames and
then bytes. "Sees" means: would read it now through its PTE.

Stores by processes it is not told of (a real program's stores to a page it
may write) are invisible to it; what needs them is judged for puppets and
simulation only: foreign-dma-read, secret-leak, lost-store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from uemu.abi import PAGE_MASK, PAGE_SIZE
from uemu.events import (
    DeviceRead,
    DeviceWrote,
    EventBus,
    ForkCopyBegan,
    ForkCopyEnded,
    Forked,
    IoChecked,
    IoStarted,
    Loaded,
    MmCreated,
    MmGone,
    MmId,
    Moved,
    PageCopied,
    PageFreed,
    PteSet,
    Seen,
    SharedPageAdded,
    Stored,
    SwappedOut,
    Unmapped,
    Waited,
)
from uemu.oracle.buffers import Buffer, WatchedIo
from uemu.oracle.copies import ForkCopies
from uemu.oracle.stores import LastStores
from uemu.oracle.violations import StoryLine, Violation

Witness = Callable[[str], object]
"""Takes down where the thread of a name is, for a story; None: nothing can be known."""

WITNESSED: Final = frozenset({"got", "pinned", "forked", "copied", "stored", "unmapped", "moved"})
"""What a thread does of its own accord. The rest of a story follows from that."""

LONGEST: Final = 512
"""Lines of a story, of which the later ones have no witness: it may go on for ever."""


def nobody(cpu: str) -> None:
    """A witness who knows nothing."""


class Oracle:
    """Judges one machine.

    Args:
        witness: is asked at each event of a story that a thread brought about.
        sees_stores: whether it is told of all stores. If not, what a device wrote is the
            holder's own affair once it was looked at.

    Attributes:
        violations: what was found, in order.
    """

    def __init__(
        self, events: EventBus, witness: Witness = nobody, *, sees_stores: bool = True
    ) -> None:
        self._witness = witness
        self._sees_stores = sees_stores
        self.violations: list[Violation] = []
        self._names: dict[MmId, str] = {}
        self._stores = LastStores()
        self._copies = ForkCopies()
        self._ptes: dict[tuple[MmId, int], int] = {}
        self._mapped: dict[int, dict[tuple[MmId, int], None]] = {}
        self._ios: dict[int, WatchedIo] = {}
        self._by_pfn: dict[int, list[WatchedIo]] = {}
        self._by_mm: dict[MmId, list[WatchedIo]] = {}
        # pfn to the (mm, base) that mapped it until the mm itself took it away.
        self._taken: dict[int, set[tuple[MmId, int]]] = {}
        # pfn to whom a device last wrote it for.
        self._written: dict[int, MmId] = {}
        # What is there for all to see: no process parts from another over it.
        self._shared: set[int] = set()
        events.watch(MmCreated, self._mm_created)
        events.watch(MmGone, self._mm_gone)
        events.watch(Forked, self._forked)
        events.subscribe(PteSet, self._pte_set)
        events.subscribe(PageCopied, self._page_copied)
        events.watch(SharedPageAdded, lambda e: self._shared.add(e.pfn))
        events.watch(PageFreed, self._page_freed)
        events.watch(ForkCopyBegan, lambda e: self._copies.began(e.src, e.dst, e.data))
        events.watch(ForkCopyEnded, self._fork_copied)
        events.watch(SwappedOut, self._swapped_out)
        events.watch(Unmapped, self._unmapped)
        events.watch(Moved, self._moved)
        events.subscribe(Stored, self._stored)
        events.watch(Loaded, self._loaded)
        events.watch(Seen, self._seen)
        events.watch(IoStarted, self._io_started)
        events.subscribe(DeviceWrote, self._device_wrote)
        events.subscribe(DeviceRead, self._device_read)
        events.watch(IoChecked, self._io_checked)
        events.watch(Waited, self._waited)

    def name_of(self, mm: MmId) -> str:
        """What people call an address space."""
        return self._names[mm]

    # Address spaces ----------------------------------------------------------------------

    def _mm_created(self, event: MmCreated) -> None:
        self._names[event.mm] = event.name

    def _mm_gone(self, event: MmGone) -> None:
        self._stores.forget(event.mm, 0, 1 << 64)
        for io in self._by_mm.get(event.mm, ()):
            for buffer in io.buffers:
                buffer.excused = True

    def _forked(self, event: Forked) -> None:
        for io in self._by_mm.get(event.mm, ()):
            child = self._names[event.child]
            self._tell(io, "forked", event.mm, event.cpu, None, f"fork makes {child}")

    def _pte_set(
        self, cpu: str, mm: MmId, base: int, old_pfn: int | None, pfn: int | None, write: bool
    ) -> None:
        key = mm, base
        if pfn is None:
            before = self._ptes.pop(key, None)
        else:
            before = self._ptes.get(key)
            self._ptes[key] = pfn
        if before != pfn:
            self._remap(key, before, pfn)
        if not self._by_pfn:
            return
        if pfn is not None:
            access = "writable" if write else "read-only"
            for io in self._by_pfn.get(pfn, ()):
                self._tell(io, "mapped", mm, cpu, base, f"maps pfn {pfn} {access}", pfn=pfn)
        if old_pfn is not None and old_pfn != pfn:
            for io in self._by_pfn.get(old_pfn, ()):
                self._tell(io, "left", mm, cpu, base, f"no longer maps pfn {old_pfn}", pfn=old_pfn)

    def _remap(self, key: tuple[MmId, int], before: int | None, pfn: int | None) -> None:
        if before is not None:
            mapped = self._mapped[before]
            del mapped[key]
            if not mapped:
                del self._mapped[before]
        if pfn is not None:
            self._mapped.setdefault(pfn, {})[key] = None

    def _page_copied(self, cpu: str, mm: MmId, base: int, src: int, dst: int, fn: str) -> None:
        for io in self._by_pfn.get(src, ()):
            self._tell(io, "copied", mm, cpu, base, f"{fn} copies pfn {src} to pfn {dst}", pfn=src)

    def _page_freed(self, event: PageFreed) -> None:
        self._taken.pop(event.pfn, None)
        self._written.pop(event.pfn, None)
        self._shared.discard(event.pfn)
        for io in self._by_pfn.get(event.pfn, ()):
            text = f"pfn {event.pfn} was freed while a device holds it"
            self._violate("pinned-page-freed", io, io.mm, io.buffers[0].held.addr, 0, text)

    def _swapped_out(self, event: SwappedOut) -> None:
        """A frame goes, and its slot is what is left of it."""
        if event.frame == event.data:
            return
        lost = [
            at for at in range(PAGE_SIZE) if event.frame[at : at + 1] != event.data[at : at + 1]
        ]
        mm = self._written.get(event.pfn)
        if lost and mm is not None:
            text = (f"pfn {event.pfn} goes as clean: swap {event.slot} has not what the device"
                    f" wrote for {self._names[mm]}")  # fmt: skip
            line = StoryLine("swapped-out", None, event.cpu, None, text, event.pfn)
            self.violations.append(
                Violation("dirty-lost", mm, 0, len(lost), event.pfn, text, (line,))
            )

    def _unmapped(self, event: Unmapped) -> None:
        self._stores.forget(event.mm, event.start, event.end)
        self._take_away(event.mm, event.start, event.end)
        for io in self._by_mm.get(event.mm, ()):
            for buffer in io.buffers:
                if event.start <= buffer.held.addr < event.end:
                    buffer.excused = True
                    self._tell(io, "unmapped", event.mm, event.cpu, buffer.held.addr,
                               "takes its own buffer away")  # fmt: skip

    def _take_away(self, mm: MmId, start: int, end: int) -> None:
        """Remember what an mm no longer maps of its own will.

        A CPU with a stale translation, or a gup-fast that read the entry
        before, may still come to the frame by the old address.
        """
        for base in range(start, end, PAGE_SIZE):
            pfn = self._ptes.get((mm, base))
            if pfn is not None:
                self._taken.setdefault(pfn, set()).add((mm, base))

    def _moved(self, event: Moved) -> None:
        shift = event.to - event.start
        self._take_away(event.mm, event.start, event.end)
        self._stores.moved(event.mm, event.start, event.end, shift)
        for io in self._by_mm.get(event.mm, ()):
            for buffer in io.buffers:
                held = buffer.held
                if event.start <= held.addr < event.end:
                    buffer.held = held._replace(addr=held.addr + shift)
                    buffer.own = {addr + shift for addr in buffer.own}
                    self._tell(io, "moved", event.mm, event.cpu, held.addr,
                               f"mremap moves the buffer to {held.addr + shift:#x}")  # fmt: skip

    # CPUs --------------------------------------------------------------------------------

    def _fork_copied(self, event: ForkCopyEnded) -> None:
        torn = self._copies.ended(event.dst, event.data)
        if torn:
            child = self._names[event.mm]
            text = f"{child}'s copy of pfn {event.src} is no state that page had"
            what = f"{child}: fork copies pfn {event.src} to pfn {event.dst}"
            line = StoryLine("copied", event.mm, event.cpu, event.base, what)
            where = event.base + torn[0]
            self.violations.append(
                Violation("torn-fork-copy", event.mm, where, len(torn), event.src, text, (line,))
            )

    def _stored(self, cpu: str, mm: MmId, addr: int, pfn: int, data: bytes) -> None:
        self._copies.stored(pfn, addr % PAGE_SIZE, data)
        if self._taken and (mm, addr & PAGE_MASK) in self._taken.get(pfn, ()):
            self._stored_too_late(mm, addr, pfn, len(data))
        elif pfn not in self._shared:
            self._stores.stored(mm, addr, data)
        if not self._by_pfn:
            return
        offset, base = addr % PAGE_SIZE, addr & PAGE_MASK
        told: list[WatchedIo] = []
        for io in self._by_pfn.get(pfn, ()):
            for buffer in io.buffers:
                if buffer.held.pfn != pfn:
                    continue
                for at in range(offset, offset + len(data)):
                    if mm == io.mm or pfn in self._shared:
                        buffer.foreign.pop(at, None)
                    else:
                        buffer.foreign[at] = mm
            self._tell(io, "stored", mm, cpu, addr, f"stores into pfn {pfn}", pfn=pfn)
            told.append(io)
        for io in self._by_mm.get(mm, ()):
            for buffer in io.buffers:
                if buffer.held.addr & PAGE_MASK != base:
                    continue
                buffer.own.update(range(addr, addr + len(data)))
                if io not in told:
                    self._tell(io, "stored", mm, cpu, addr, f"stores into pfn {pfn}")
                    told.append(io)

    def _stored_too_late(self, mm: MmId, addr: int, pfn: int, length: int) -> None:
        """A store into a page that its mm took away: what it leaves, wherever, is its own."""
        self._stores.overwritten(mm, addr, length)
        for other, base in self._mapped.get(pfn, ()):
            if other == mm:
                self._stores.overwritten(mm, base + addr % PAGE_SIZE, length)

    def _loaded(self, event: Loaded) -> None:
        self._look(event.mm, event.addr, event.pfn, event.data, event.cpu)

    def _seen(self, event: Seen) -> None:
        self._look(event.mm, event.base, event.pfn, event.data, "")

    def _look(self, mm: MmId, addr: int, pfn: int, data: bytes, cpu: str) -> None:
        lost = self._stores.missing(mm, addr, data)
        if lost:
            name = self._names[mm]
            text = f"{name} does not read back what it stored: it maps pfn {pfn} there"
            line = StoryLine("loaded", mm, cpu, lost[0], f"{name}: reads pfn {pfn}")
            self.violations.append(
                Violation("lost-store", mm, lost[0], len(lost), None, text, (line,))
            )

    # Devices -----------------------------------------------------------------------------

    def _io_started(self, event: IoStarted) -> None:
        mm = event.held[0].mm
        io = WatchedIo(event, mm, [Buffer(held) for held in event.held], {}, [])
        for buffer in io.buffers:
            io.by_pfn.setdefault(buffer.held.pfn, []).append(buffer)
            base = buffer.held.addr & PAGE_MASK
            taken = (mm, base) in self._taken.get(buffer.held.pfn, ())
            buffer.excused = taken and self._ptes.get((mm, base)) != buffer.held.pfn
        self._ios[event.io] = io
        if not io.fills_its_pages:
            for other in self._by_mm.get(mm, ()):
                io.meet(other)
        self._by_mm.setdefault(mm, []).append(io)
        for pfn in {held.pfn: None for held in event.held}:
            self._by_pfn.setdefault(pfn, []).append(io)
        how = "pins" if event.pinned else "gets"
        pfns = ", ".join(str(held.pfn) for held in event.held[:4])
        more = " ..." if len(event.held) > 4 else ""
        text = f"{event.api} {how} pfn {pfns}{more}"
        self._tell(io, "pinned" if event.pinned else "got", mm, event.cpu,
                   event.held[0].addr, text)  # fmt: skip

    def _device_wrote(self, number: int, pfn: int, offset: int, data: bytes) -> None:
        io = self._ios[number]
        self._copies.device_wrote(pfn, offset, len(data))
        self._written[pfn] = io.mm
        for buffer in io.by_pfn[pfn]:
            held = buffer.held
            if held.offset <= offset < held.offset + held.length:
                addr = held.addr + offset - held.offset
                buffer.device_wrote(offset, data)
                if io.started.secondary:
                    io.stored = addr, data
                self._stores.overwritten(io.mm, addr, len(data))
        text = f"writes {len(data)} bytes into pfn {pfn}"
        self._tell(io, "device-wrote", None, "device", None, text, pfn=pfn)
        for mm, base in self._mapped.get(pfn, ()):
            if mm == io.mm:
                # Wherever the holder maps it now: mremap may have moved it.
                self._stores.overwritten(mm, base + offset, len(data))
            elif pfn not in self._shared:
                where = base + offset
                text = (f"{self._names[mm]} sees what the device wrote for"
                        f" {self._names[io.mm]}")  # fmt: skip
                self._violate("dma-write-seen-by-other", io, mm, where, len(data), text,
                              pfn=pfn)  # fmt: skip

    def _device_read(self, number: int, pfn: int, offset: int, data: bytes) -> None:
        io = self._ios[number]
        text = f"reads {len(data)} bytes of pfn {pfn}"
        self._tell(io, "device-read", None, "device", None, text, pfn=pfn)
        for buffer in io.by_pfn[pfn]:
            held = buffer.held
            if not held.offset <= offset < held.offset + held.length:
                continue
            buffer.read = offset, data
            end = offset + len(data)
            alien = sorted(at for at in buffer.foreign if offset <= at < end)
            if alien:
                mm = buffer.foreign[alien[0]]
                kind, reader = "foreign-dma-read", "the device"
                if io.started.api == "vmsplice":
                    kind, reader = "secret-leak", self._names[io.mm]
                text = (f"{reader} receives bytes that {self._names[mm]} stored, through the"
                        f" buffer of {self._names[io.mm]}")  # fmt: skip
                self._violate(kind, io, io.mm, held.addr + alien[0] - held.offset, len(alien),
                              text, pfn=held.pfn)  # fmt: skip

    def _io_checked(self, event: IoChecked) -> None:
        io = self._ios[event.io]
        if io.stored is not None and event.seen[0][0] in (None, io.buffers[0].held.pfn):
            # It stored where its process would have: from here on that is a thread's store.
            self._stores.stored(io.mm, *io.stored)
        io.stored = None
        for buffer, (pfn, data) in zip(io.buffers, event.seen, strict=True):
            if not buffer.excused and pfn != buffer.held.pfn and pfn is not None:
                self._compare(io, buffer, pfn, data)
            buffer.read = 0, b""
            if not self._sees_stores:
                buffer.known = bytearray()
        if event.final:
            del self._ios[event.io]
            self._by_mm[io.mm].remove(io)
            for held_pfn in {held.pfn: None for held in io.started.held}:
                self._by_pfn[held_pfn].remove(io)
                if not self._by_pfn[held_pfn]:
                    del self._by_pfn[held_pfn]

    def _compare(self, io: WatchedIo, buffer: Buffer, pfn: int, data: bytes) -> None:
        """The holder's PTE left the frame: are the bytes there nevertheless?"""
        held = buffer.held
        to_addr = held.addr - held.offset
        lost = [at for at in buffer.not_seen(data) if to_addr + at not in buffer.own]
        if lost:
            text = (f"{self._names[io.mm]} does not see what the device wrote into pfn"
                    f" {held.pfn}: it now maps pfn {pfn}")  # fmt: skip
            self._violate("lost-dma-write", io, io.mm, to_addr + lost[0], len(lost), text,
                          pfn=held.pfn)  # fmt: skip
        if io.started.long_term:
            stale = buffer.no_longer_read(data)
            if stale:
                text = (f"the device reads pfn {held.pfn}, which {self._names[io.mm]} no longer"
                        f" maps: it now maps pfn {pfn}")  # fmt: skip
                self._violate("stale-dma-read", io, io.mm, to_addr + stale[0], len(stale), text,
                              pfn=held.pfn)  # fmt: skip

    def _waited(self, event: Waited) -> None:
        if event.done:
            line = StoryLine("waited", event.mm, event.cpu, None, f"{event.fn}: {event.what}")
            text = f"{event.fn} waited for I/O: {event.what}"
            self.violations.append(Violation("fork-blocked", event.mm, 0, 0, None, text, (line,)))

    # Telling -----------------------------------------------------------------------------

    def _tell(
        self, io: WatchedIo, event: str, mm: MmId | None, cpu: str, address: int | None, text: str,
        *, pfn: int | None = None,
    ) -> None:  # fmt: skip
        who = self._names[mm] if mm is not None else "the device"
        is_asked = event in WITNESSED and len(io.story) < LONGEST
        moment = self._witness(cpu) if is_asked else None
        io.story.append(StoryLine(event, mm, cpu, address, f"{who}: {text}", pfn, moment))

    def _violate(
        self, kind: str, io: WatchedIo, mm: MmId, address: int, length: int, text: str,
        *, pfn: int | None = None,
    ) -> None:  # fmt: skip
        """Note a violation; the same kind for the same mm and I/O is said once."""
        if (kind, mm) in io.said:
            return
        io.said.add((kind, mm))
        # Of a long buffer, the page that it is about.
        story = tuple(line for line in io.story if pfn is None or line.pfn in (None, pfn))
        held = io.held_buffer(pfn)
        self.violations.append(Violation(kind, mm, address, length, pfn, text, story, buffer=held))
