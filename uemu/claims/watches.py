"""What claims ask for that is no violation: who left a frame first, and such.

A watch listens to a world's events. What it names joins the verdicts of the run.
What it remembers from one event to the next is shared by the tasks: it is in a
cell, so that steps whose order matters to the watch conflict (`uemu.explore.world`).
The steps themselves are those of the world without it, and so are its schedules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, Protocol

from uemu.dma.engine import Io
from uemu.events import (
    FaultTaken,
    Forked,
    IoChecked,
    IoStarted,
    MmCreated,
    MmId,
    PageCopied,
    PteSet,
)
from uemu.kernel import Kernel
from uemu.kernel.io import Holder
from uemu.mm.pte import Pte
from uemu.oracle.judge import Oracle
from uemu.scenario.tasks import Task


class Watched(Protocol):
    """The world a watch looks at, its setup done."""

    @property
    def kernel(self) -> Kernel: ...
    @property
    def oracle(self) -> Oracle: ...
    @property
    def seen(self) -> list[tuple[str, bytes | None]]: ...
    def threads(self) -> Sequence[Task]:
        """Its tasks."""
        ...


class Watch:
    """Nothing is looked for; those below look.

    Attributes:
        names: the kinds it can name, and what each means.
    """

    names: ClassVar[dict[str, str]] = {}

    def __init__(self, world: Watched) -> None:
        self.world = world
        self.found: set[str] = set()

    def touch(self, cpu: str, pfn: int, *, write: bool) -> None:
        """Note that the step at hand looks at what is remembered of a frame, or changes it."""
        for task in self.world.threads():
            if task.cpu.name == cpu:
                task.cpu.touch(("watch", pfn), write=write)

    def kinds(self) -> frozenset[str]:
        """What was seen, now that the run is over."""
        return frozenset(self.found)


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
            cell.peek()
            for other in self.world.kernel.mech.mms.values()
            if other.id != mm
            for cell in other.ptes.values()
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


class Unwarned(Watch):
    """Whether a read is lost that a warning of fork in threaded programs does not find.

    That a process is threaded shows when it forks: another thread is in the kernel,
    or in a read(2) whose device is at work.
    """

    names: ClassVar = {
        "lost-unwarned": "a read is lost by a process that may have one thread alone",
    }

    def __init__(self, world: Watched) -> None:
        super().__init__(world)
        self._is_warned = False
        events = world.kernel.events
        events.watch(IoStarted, lambda event: self.touch(event.cpu, 0, write=True))
        events.watch(IoChecked, lambda event: self.touch(event.cpu, 0, write=True))
        events.watch(Forked, self._on_fork)

    def _on_fork(self, event: Forked) -> None:
        self.touch(event.cpu, 0, write=False)
        others = [task for task in self.world.threads() if task.cpu.name != event.cpu]
        in_kernel = any(task.busy and task.mm.id == event.mm for task in others)
        if in_kernel or any(self._is_waited_for(io, event.mm) for io in self._live()):
            self._is_warned = True

    def _live(self) -> list[Io]:
        return list(self.world.kernel.io.dma.live.values())

    def _is_waited_for(self, io: Io, mm: MmId) -> bool:
        holder = io.owner
        return isinstance(holder, Holder) and holder.mm.id == mm and not holder.request.aio

    def kinds(self) -> frozenset[str]:
        """What was seen."""
        lost = any(each.kind == "lost-dma-write" for each in self.world.oracle.violations)
        if lost and not self._is_warned:
            self.found.add("lost-unwarned")
        return super().kinds()


class Missing(Watch):
    """Whether a child touches what its parent had mapped at fork, and it has not."""

    names: ClassVar = {
        "missing-in-child": "a child gets SIGSEGV where its parent has memory",
    }

    def __init__(self, world: Watched) -> None:
        super().__init__(world)
        self._parents: dict[MmId, MmId | None] = {}
        world.kernel.events.watch(MmCreated, self._on_created)
        world.kernel.events.watch(FaultTaken, self._on_fault)

    def _on_created(self, event: MmCreated) -> None:
        self._parents[event.mm] = event.parent

    def _on_fault(self, event: FaultTaken) -> None:
        mms, parent = self.world.kernel.mech.mms, self._parents.get(event.mm)
        if parent is None or parent not in mms:
            return
        has = [mms[mm].find_vma(event.addr) is not None for mm in (parent, event.mm)]
        if has == [True, False]:
            self.found.add("missing-in-child")


class Cached(Watch):
    """Whether a read is lost whose page was in the swap cache when gup took it."""

    names: ClassVar = {
        "lost-cached-before": "a read is lost whose page was in the swap cache when gup took it",
    }

    def __init__(self, world: Watched) -> None:
        super().__init__(world)
        self._cached: set[int] = set()
        world.kernel.events.watch(IoStarted, self._on_io)

    def _on_io(self, event: IoStarted) -> None:
        pages = self.world.kernel.mech.pages
        for held in event.held:
            if pages[held.pfn].swap.peek() is not None:
                self._cached.add(held.pfn)

    def kinds(self) -> frozenset[str]:
        """What was seen."""
        for violation in self.world.oracle.violations:
            if violation.kind == "lost-dma-write" and violation.pfn in self._cached:
                self.found.add("lost-cached-before")
        return super().kinds()


WATCHES: Final[dict[str, type[Watch]]] = {
    "leavers": Leavers,
    "reuses": Reuses,
    "half-updates": HalfUpdates,
    "unwarned": Unwarned,
    "missing": Missing,
    "cached": Cached,
}
"""The watches by name."""
