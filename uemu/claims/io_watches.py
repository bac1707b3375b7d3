"""Watches of lost reads, and of children that miss what their parent kept from them."""

from __future__ import annotations

from typing import Any, ClassVar

from uemu.claims.watch import Watch, Watched
from uemu.dma.engine import Io
from uemu.events import FaultTaken, Forked, IoChecked, IoStarted, MmCreated, MmId
from uemu.kernel.io import Holder
from uemu.mm.hooks import NeedFault
from uemu.mm.page import Page
from uemu.step import Cpu, Op


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


class GupPaths(Watch):
    """Tells who took a page by gup-fast, without mmap_lock."""

    def __init__(self, world: Watched) -> None:
        super().__init__(world)
        self._slow: set[str] = set()
        hooks = world.kernel.hooks
        follow = hooks.follow_page_pte

        def note(cpu: Cpu, *rest: Any) -> Op[Page | NeedFault]:
            self._slow.add(cpu.name)
            return follow(cpu, *rest)

        # The slow path alone asks for it.
        setattr(hooks, "follow_page_pte", note)  # noqa: B010
        world.kernel.events.watch(IoStarted, self._on_io)

    def _on_io(self, event: IoStarted) -> None:
        if event.cpu not in self._slow:
            self.on_fast(event)

    def on_fast(self, event: IoStarted) -> None:
        """gup-fast took all pages of an I/O."""
        raise NotImplementedError


class FastPins(GupPaths):
    """Whether a device's write is lost to a page that gup-fast took, without mmap_lock."""

    names: ClassVar = {
        "lost-fast-pin": "a device's write is lost, and it was gup-fast that took the page",
    }

    def __init__(self, world: Watched) -> None:
        super().__init__(world)
        self._fast: set[int] = set()

    def on_fast(self, event: IoStarted) -> None:
        """Remember the pages."""
        self._fast.update(held.pfn for held in event.held)

    def kinds(self) -> frozenset[str]:
        """What was seen."""
        for violation in self.world.oracle.violations:
            if violation.kind == "lost-dma-write" and violation.pfn in self._fast:
                self.found.add("lost-fast-pin")
        return super().kinds()
