"""Watches of frames: who leaves one, who reuses one, what a child finds in its own."""

from __future__ import annotations

from typing import ClassVar

from uemu.claims.watch import Watch, Watched
from uemu.events import IoChecked, IoStarted, MmCreated, MmId, PageCopied, PteSet
from uemu.kernel import Holder
from uemu.mm.notifier_hooks import SECONDARY_MMUS
from uemu.mm.pte import Pte


class Leavers(Watch):
    """Who leaves a frame that fork shared, and who stays.

    To leave a frame is to clear or replace the entry that maps it; to stay is to
    make that entry writable.
    """

    names: ClassVar = {
        "first-writer-stayed": "of two processes that share a frame the one that wrote first"
        " made it its own",
        "both-left": "both processes that shared a frame moved to a copy, and nobody has it",
    }

    def __init__(self, world: Watched) -> None:
        super().__init__(world)
        self._parents: dict[MmId, MmId | None] = {}
        self._sharers: dict[int, set[MmId]] = {}
        self._left: dict[int, set[MmId]] = {}
        self._copied: dict[int, set[MmId]] = {}
        events = world.kernel.events
        events.watch(MmCreated, self._on_created)
        events.watch(PteSet, self._on_pte)
        events.watch(PageCopied, self._on_copy)

    def _on_created(self, event: MmCreated) -> None:
        self._parents[event.mm] = event.parent

    def _on_pte(self, event: PteSet) -> None:
        old, new, mm = event.old_pfn, event.pfn, event.mm
        parent = self._parents.get(mm)
        if old is None and new is not None and parent is not None and not event.write:
            self._sharers.setdefault(new, {parent}).add(mm)
        elif old is not None and mm in self._sharers.get(old, ()):
            self.touch(event.cpu, old, write=True)
            if new != old:
                self._left.setdefault(old, set()).add(mm)
            elif event.write and not self._left.get(old):
                self.found.add("first-writer-stayed")

    def _on_copy(self, event: PageCopied) -> None:
        self._copied.setdefault(event.src, set()).add(event.mm)

    def kinds(self) -> frozenset[str]:
        """What was seen."""
        for pfn, sharers in self._sharers.items():
            moved = self._left.get(pfn, set()) & self._copied.get(pfn, set())
            if sharers <= moved:
                self.found.add("both-left")
        return super().kinds()


class Reuses(Watch):
    """Whether a write fault makes a frame writable that somebody else can reach.

    Somebody else is a process that maps it, or a device that holds it for another
    process: then, or later while the entry stands.
    """

    names: ClassVar = {
        "unsafe-reuse": "a write fault reused a frame that another process, or a device on its"
        " behalf, can reach",
    }

    def __init__(self, world: Watched) -> None:
        super().__init__(world)
        self._held: dict[int, tuple[MmId, frozenset[int]]] = {}
        self._reused: dict[int, MmId] = {}
        events = world.kernel.events
        events.watch(PteSet, self._on_pte)
        events.watch(IoStarted, self._on_io)
        events.watch(IoChecked, self._on_end)

    def _on_pte(self, event: PteSet) -> None:
        pfn, mm = event.pfn, event.mm
        if event.old_pfn is not None and event.old_pfn != pfn:
            self.touch(event.cpu, event.old_pfn, write=True)
            if self._reused.get(event.old_pfn) == mm:
                del self._reused[event.old_pfn]
            return
        if pfn is None or event.old_pfn is None or not event.write:
            return
        self.touch(event.cpu, pfn, write=True)
        self._reused[pfn] = mm
        held = any(holder != mm and pfn in pfns for holder, pfns in self._held.values())
        if held or self._is_mapped_by_other(mm, pfn):
            self.found.add("unsafe-reuse")

    def _is_mapped_by_other(self, mm: MmId, pfn: int) -> bool:
        entries = (
            pte
            for other in self.world.kernel.mech.mms.values()
            if other.id != mm
            for _, pte in other.entries()
        )
        return any(isinstance(pte, Pte) and pte.pfn == pfn for pte in entries)

    def _on_io(self, event: IoStarted) -> None:
        mm = event.held[0].mm
        pfns = frozenset(held.pfn for held in event.held)
        for pfn in pfns:
            self.touch(event.cpu, pfn, write=True)
        self._held[event.io] = mm, pfns
        if any(self._reused.get(pfn, mm) != mm for pfn in pfns):
            self.found.add("unsafe-reuse")

    def _on_end(self, event: IoChecked) -> None:
        if event.final:
            _, pfns = self._held.pop(event.io)
            for pfn in pfns:
                self.touch(event.cpu, pfn, write=True)


class Nuked(Watch):
    """Whether a notifier drops a translation in vain: who ran it leaves the entry where it is."""

    names: ClassVar = {
        "nuked-in-vain": "a notifier dropped a secondary translation, and the page stayed mapped",
    }

    def __init__(self, world: Watched) -> None:
        super().__init__(world)
        # Each task remembers what it did itself, so nothing here is shared.
        self._nuked: set[tuple[str, MmId, int]] = set()
        self._cleared: set[tuple[str, MmId, int]] = set()
        events = world.kernel.events
        events.watch(IoChecked, self._on_end)
        events.watch(PteSet, self._on_pte)

    def _on_end(self, event: IoChecked) -> None:
        # What the setup mapped nobody here saw begin, so the I/O itself tells whose it is.
        if event.final:
            io = self.world.kernel.io.dma.live.get(event.io)
            owner = io.owner if io is not None else None
            if isinstance(owner, Holder) and owner.api in SECONDARY_MMUS:
                self._nuked.add((event.cpu, owner.mm.id, owner.addrs[0]))

    def _on_pte(self, event: PteSet) -> None:
        key = event.cpu, event.mm, event.base
        if event.pfn is None:
            self._cleared.add(key)
        else:
            self._cleared.discard(key)

    def kinds(self) -> frozenset[str]:
        """What was seen."""
        if self._nuked - self._cleared:
            self.found.add("nuked-in-vain")
        return super().kinds()


class HalfUpdates(Watch):
    """Whether a child sees the first store of an update and not the second.

    The scenario's child loads the two words that a thread of its parent stores
    one after the other: ``N`` each, where ``I`` was.
    """

    names: ClassVar = {
        "half-an-update": "a child finds the first half of an update in its memory, and not the"
        " second",
    }

    def kinds(self) -> frozenset[str]:
        """What was seen."""
        if [data for name, data in self.world.seen if name == "child"] == [b"N", b"I"]:
            self.found.add("half-an-update")
        return super().kinds()
