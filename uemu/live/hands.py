"""System calls in a stopped puppet, and its mappings brought up to date by them."""

from __future__ import annotations

import contextlib
import os

from uemu.abi import SYS_MUNMAP
from uemu.errors import HostError, ProcessDied
from uemu.events import MmId
from uemu.host import native
from uemu.host.syscalls import name_of
from uemu.live.mmu import LiveMmu
from uemu.live.puppet import PuppetThread
from uemu.live.reports import Reports
from uemu.mm.mm_struct import MmStruct


def munmap_call(addr: int, length: int) -> native.Call:
    """munmap(2) as a call."""
    return (SYS_MUNMAP, addr, length, 0, 0, 0, 0)


def changed(what: str, addr: int) -> HostError:
    """The error for a puppet that is not what we left."""
    return HostError(
        f"run {what} in a puppet",
        f"it faulted at {addr:#x}",
        "Its memory was changed behind uemu's back.",
    )


class Hands:
    """What the tracer makes a puppet do to its own process."""

    def __init__(self, reports: Reports, mmu: LiveMmu) -> None:
        self.reports = reports
        self.mmu = mmu

    def make_calls(self, thread: PuppetThread, calls: list[native.Call], what: str) -> list[int]:
        """Let a thread make system calls; what each returned, the last may be an error.

        Raises:
            ProcessDied: the process died on the way.
        """
        reports, slot, results = self.reports, thread.slot, []
        thread.nr_calls += 1
        for start in range(0, len(calls), native.MAX_CALLS):
            batch = calls[start : start + native.MAX_CALLS]
            slot.queue(batch)
            err = native.go(thread.tid, slot.calls, 0, reports.event)
            event = reports.settle(thread, err, what)
            while event.kind == native.EVENT:
                if event.msg:  # 0: it was killed before it could say whom it bore
                    reports.born.add(event.msg)
                event = reports.settle(thread, native.go(thread.tid, 0, 0, reports.event), what)
            if event.kind != native.TRAP:
                raise changed(what, event.addr)
            made = len(batch) - slot.struct.count
            results += [slot.result(i) for i in range(min(made + 1, len(batch)))]
            if slot.struct.count:
                slot.struct.count = 0
                break
        return results

    def sync(self, thread: PuppetThread) -> None:
        """Make every real process agree with its page table, the thread's own last."""
        self.sync_others(thread.process.mm)
        if thread.process.death is None:
            self._apply(thread)

    def sync_others(self, mm: MmStruct | None) -> None:
        """Make the real processes of all address spaces, but ``mm``, agree with their page tables.

        Each is stopped, so that a thread of its own can do it. Who is not born yet
        is brought up to date at birth, and who dies meanwhile has nothing mapped.
        """
        for other in self.mmu.with_changes():
            actor = self._actor(other) if mm is None or other != mm.id else None
            if actor is not None:
                with contextlib.suppress(ProcessDied):
                    self._apply(actor)

    def _actor(self, mm: MmId) -> PuppetThread | None:
        """A thread that can make calls in an address space; none waits in vfork(2)."""
        for process in self.reports.processes.values():
            if process.mm.id == mm and not process.is_dying:
                for thread in process.threads.values():
                    if thread.in_vfork is None:
                        return thread
        return None

    def _apply(self, thread: PuppetThread) -> None:
        calls = self.mmu.take_calls(thread.process.mm.id)
        if calls:
            results = self.make_calls(thread, calls, "a change of its page table")
            self.must_work(thread, calls, results)

    def must_work(self, thread: PuppetThread, calls: list[native.Call], results: list[int]) -> None:
        """Raise HostError if the last of ``results`` is an error."""
        if results[-1] >= 0:
            return
        left = calls[len(results) - 1 :]
        self.mmu.not_applied(thread.process.mm, left)
        raise HostError(
            f"change the mappings of puppet {thread.process.pid}",
            f"{name_of(left[0][0])}: {os.strerror(-results[-1])}",
            "Use fewer pages or processes, or raise `sysctl vm.max_map_count`"
            " (and `ulimit -v`, if there is one).",
        )

    def unmap(self, thread: PuppetThread, start: int, length: int, what: str) -> None:
        """munmap(2) in the real process."""
        results = self.make_calls(thread, [munmap_call(start, length)], what)
        self.must_work(thread, [munmap_call(start, length)], results)
        self.mmu.unmapped(thread.process.mm.id, start, start + length)
