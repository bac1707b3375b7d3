"""Watches of who maps a page: the swap cache beside a writable entry; counts under a lock."""

from __future__ import annotations

from typing import ClassVar

from uemu.claims.io_watches import GupPaths
from uemu.claims.watch import Watch, Watched
from uemu.events import Forked, IoStarted, MmCreated, MmId, PteSet, Seen
from uemu.mm.locks import SpinLock
from uemu.mm.pte import Pte


class WritableCached(GupPaths):
    """Whether a page is in the swap cache while an entry maps it writable, and how that comes."""

    names: ClassVar = {
        "made-writable-in-cache": "an entry is made writable whose page stays in the swap cache",
        "left-writable-in-cache": "a page was put into the swap cache, and its entry is writable"
        " still when nothing runs any more",
        "taken-in-cache": "gup-fast takes a page for writing that is in the swap cache",
    }

    def __init__(self, world: Watched) -> None:
        super().__init__(world)
        world.kernel.events.watch(PteSet, self._on_pte)
        world.kernel.events.watch(Seen, self._on_seen)

    def _is_cached(self, pfn: int) -> bool:
        return self.world.kernel.mech.pages[pfn].swap.peek() is not None

    def _on_pte(self, event: PteSet) -> None:
        if event.pfn is not None and event.write and self._is_cached(event.pfn):
            self.found.add("made-writable-in-cache")

    def _on_seen(self, event: Seen) -> None:
        pte = self.world.kernel.mech.mms[event.mm].pte(event.base).peek()
        if isinstance(pte, Pte) and pte.write and self._is_cached(pte.pfn):
            self.found.add("left-writable-in-cache")

    def on_fast(self, event: IoStarted) -> None:
        """In the step that took the last reference: where one page is taken, the first."""
        if event.from_device and any(self._is_cached(held.pfn) for held in event.held):
            self.found.add("taken-in-cache")


class Mapcounts(Watch):
    """Whether a mapcount, and the count with it, changes under a page table lock.

    Somebody who has the lock of one process compares the two; another process,
    whose lock is another one, begins or ceases to map the page.
    """

    names: ClassVar = {
        "shared-count-moved": "a page that several processes map is unmapped by one while another"
        " one's page table lock is held",
        "sole-count-moved": "a page that one process maps is mapped by a second one while the"
        " first one's page table lock is held",
    }

    def __init__(self, world: Watched) -> None:
        super().__init__(world)
        self._maps: dict[tuple[MmId, int], int] = {}
        self._unborn: set[MmId] = set()
        events = world.kernel.events
        events.watch(MmCreated, self._on_created)
        events.watch(Forked, lambda event: self._unborn.discard(event.child))
        events.watch(PteSet, self._on_pte)

    def _on_created(self, event: MmCreated) -> None:
        if event.parent is not None:
            self._unborn.add(event.mm)

    def _on_pte(self, event: PteSet) -> None:
        place = event.mm, event.base
        if event.pfn is None and self._lock(event.mm).held.peek():
            # Cleared, to be flushed and replaced: page_remove_rmap() is to come.
            return
        old = self._maps.pop(place, None)
        if event.pfn != old:
            self._changes(event, old)
        if event.pfn is not None:
            self._maps[place] = event.pfn

    def _changes(self, event: PteSet, old: int | None) -> None:
        # Who fills a child's table is fork, which may hold the parent's lock itself.
        is_fork = event.mm in self._unborn
        if event.pfn is not None and not is_fork and self._others(event, event.pfn) == [True]:
            self.found.add("sole-count-moved")
        if old is not None and any(self._others(event, old)):
            self.found.add("shared-count-moved")

    def _others(self, event: PteSet, pfn: int) -> list[bool]:
        """Of each other process that maps a page, whether its lock is held."""
        places = [mm for (mm, _), mapped in self._maps.items() if mapped == pfn]
        locks = [self._lock(mm) for mm in places if mm != event.mm]
        for lock in locks:
            self.look_at(event.cpu, lock.held)
        return [lock.held.peek() for lock in locks]

    def _lock(self, mm: MmId) -> SpinLock:
        return self.world.kernel.mech.mms[mm].page_table_lock
