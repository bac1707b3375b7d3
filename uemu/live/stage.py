"""All puppets of one machine, and the kernel they run under.

Every method that does something and may have to wait is an operation
(`uemu.step.Op`): it yields the kernel's steps, so that a caller can park it.
Everything here happens on the tracer thread.
"""

from __future__ import annotations

import os
from typing import TypeVar

from uemu.abi import PAGE_SIZE, SYS_MMAP, Direction
from uemu.dma.engine import Registration, Transfer
from uemu.errors import Fault, ProcessDied
from uemu.kernel import Kernel, SecondaryMmu
from uemu.live.access import Accesses
from uemu.live.area import Areas
from uemu.live.births import Births
from uemu.live.endings import end_process
from uemu.live.hands import Hands
from uemu.live.mmu import HIDDEN_FIXED, LiveMmu
from uemu.live.newborn import Newborns
from uemu.live.puppet import PuppetProcess, PuppetThread
from uemu.live.reports import Reports
from uemu.mm.mm_struct import MMAP_BASE
from uemu.step import Op

_T = TypeVar("_T")

NO_FD = (1 << 64) - 1


class Stage:
    """Puppets, their memory and their I/O.

    Attributes:
        kernel: under the machine's policy.
        reports: who lives, and the news of them.
        hands: system calls in puppets.
        accesses: stores and loads.
        births: new processes and threads.
    """

    def __init__(self, kernel: Kernel, mmu: LiveMmu, frames_fd: int) -> None:
        self.kernel = kernel
        self._areas = Areas()
        self.reports = Reports(self._on_death)
        self.hands = Hands(self.reports, mmu)
        self.accesses = Accesses(kernel, self.hands)
        self.births = Births(kernel, self.hands, Newborns(self.hands, self._areas, frames_fd))

    def _on_death(self, process: PuppetProcess) -> None:
        """End the address space of a process that is gone, unless it only borrowed it."""
        if any(other.mm is process.mm for other in self.reports.processes.values()):
            for thread in process.threads.values():
                process.area.give_back(thread.slot)
            return
        self._areas.close_area(process.area)
        for _ in self.kernel.exit_mm(process.leader.cpu, process.mm):
            pass

    # Mappings -------------------------------------------------------------------------

    def mmap(
        self,
        thread: PuppetThread,
        length: int,
        prot: int,
        *,
        shared: bool = False,
        huge: str = "",
    ) -> Op[int]:
        """mmap(2): anonymous memory, framed from the first touch.

        Huge pages are so to the emulated kernel; the real one maps frames.
        """
        mm, kernel = thread.process.mm, self.kernel
        addr = yield from kernel.mmap(thread.cpu, mm, length, prot, shared=shared, huge=huge)
        vma = mm.find_vma(addr)
        assert vma is not None
        size = vma.vm_end - addr
        call = (SYS_MMAP, addr, size, 0, HIDDEN_FIXED, NO_FD, 0)
        (result,) = self.hands.make_calls(thread, [call], "mmap")
        if result < 0:
            yield from self.kernel.munmap(thread.cpu, mm, addr, size)
            raise Fault(-result, addr, f"the real mmap: {os.strerror(-result)}")
        return addr

    def mremap(self, thread: PuppetThread, addr: int, old_length: int, new_length: int) -> Op[int]:
        """mremap(2): the frames appear at the new place, the old one is unmapped."""
        mm = thread.process.mm
        target = yield from self.kernel.mremap(thread.cpu, mm, addr, old_length, new_length)
        vma = mm.find_vma(target)
        assert vma is not None
        size = vma.vm_end - target
        call = (SYS_MMAP, target, size, 0, HIDDEN_FIXED, NO_FD, 0)
        self.hands.must_work(thread, [call], self.hands.make_calls(thread, [call], "mremap"))
        end = addr + (old_length + PAGE_SIZE - 1) // PAGE_SIZE * PAGE_SIZE
        self.hands.mmu.unmapped(mm.id, addr, end)
        self.hands.sync(thread)
        self.hands.unmap(thread, addr, end - addr, "mremap")
        return target

    def munmap(self, thread: PuppetThread, addr: int, length: int) -> Op[None]:
        """munmap(2)."""
        mm = thread.process.mm
        yield from self.kernel.munmap(thread.cpu, mm, addr, length)
        end = addr + (length + PAGE_SIZE - 1) // PAGE_SIZE * PAGE_SIZE
        # What lies outside is the puppet's own, which no program knows of.
        start, end = max(addr, MMAP_BASE), min(end, mm.next_addr)
        if start < end:
            self.hands.unmap(thread, start, end - start, "munmap")

    def change(self, thread: PuppetThread, op: Op[None]) -> Op[None]:
        """Run an operation on the thread's mm (mprotect, madvise) and apply it."""
        yield from self._applying(thread, op)

    # I/O ------------------------------------------------------------------------------

    def dio_submit(
        self,
        thread: PuppetThread,
        addr: int,
        length: int,
        direction: Direction,
        api: str,
        *,
        aio: bool = False,
    ) -> Op[Transfer]:
        """Hold pages and start a transfer; faults that gup took are applied."""
        mm = thread.process.mm
        iov = [(addr, length)]
        op = self.kernel.io.dio_submit(thread.cpu, mm, iov, direction, api, aio=aio)
        return (yield from self._applying(thread, op))

    def register(
        self, thread: PuppetThread, addr: int, length: int, writable: bool, api: str
    ) -> Op[Registration]:
        """Hold pages until released; faults that gup took are applied."""
        mm = thread.process.mm
        op = self.kernel.io.register(thread.cpu, mm, addr, length, writable, api)
        return (yield from self._applying(thread, op))

    def attach_secondary(
        self, thread: PuppetThread, addr: int, length: int, kind: str
    ) -> Op[SecondaryMmu]:
        """Let a secondary MMU translate a puppet's pages."""
        return self.kernel.attach_secondary(thread.cpu, thread.process.mm, addr, length, kind)

    def secondary_store(
        self, thread: PuppetThread, mmu: SecondaryMmu, offset: int, data: bytes
    ) -> Op[None]:
        """A guest stores; faults that gup took are applied."""
        return self._applying(thread, mmu.store(thread.cpu, offset, data))

    def secondary_load(
        self, thread: PuppetThread, mmu: SecondaryMmu, offset: int, length: int
    ) -> Op[bytes]:
        """A guest loads; faults that gup took are applied."""
        return self._applying(thread, mmu.load(thread.cpu, offset, length))

    def _applying(self, thread: PuppetThread, op: Op[_T]) -> Op[_T]:
        """Apply what an operation changes, at its end and whenever it waits on the way."""
        try:
            while True:
                step = next(op)
                if step.is_enabled():
                    continue
                self.hands.sync(thread)
                try:
                    yield step
                except ProcessDied as died:
                    op.throw(died)
        except StopIteration as stop:
            result: _T = stop.value
            return result
        finally:
            self.hands.sync(thread)

    def of_the_kernel(self, op: Op[_T]) -> Op[_T]:
        """Run an operation of no process, and apply what it changes to all of them."""
        try:
            return (yield from op)
        finally:
            self.hands.sync_others(None)

    # Ending ---------------------------------------------------------------------------

    def close(self) -> None:
        """Kill every process and wait until all are gone."""
        for process in reversed(list(self.reports.processes.values())):
            end_process(self.reports, process)
        self._areas.close()
