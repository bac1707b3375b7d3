"""System calls in a stopped puppet, and its mappings brought up to date by them."""

from __future__ import annotations

import os

from uemu.abi import SYS_MUNMAP
from uemu.errors import HostError
from uemu.host import native
from uemu.host.syscalls import name_of
from uemu.live.mmu import LiveMmu
from uemu.live.puppet import PuppetThread
from uemu.live.reports import Reports


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
        """Make the thread's real process agree with its page table."""
        if thread.process.death is not None:
            return
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
