"""How puppets come into being: spawn, clone, fork, vfork, posix_spawn."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from uemu.abi import SYS_CLONE, SYS_FORK, SYS_MMAP, SYS_VFORK
from uemu.errors import Fault, HostError, ProcessDied
from uemu.host import native
from uemu.kernel import Kernel
from uemu.live.area import AREA_BASE, Area, Areas, Slot
from uemu.live.endings import end_process
from uemu.live.exec_block import ExecBlock
from uemu.live.hands import Hands
from uemu.live.puppet import PuppetProcess, PuppetThread
from uemu.mm.mm_struct import MmStruct
from uemu.step import Op

CLONE_THREAD_FLAGS = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000
"""VM, FS, FILES, SIGHAND, THREAD, SYSVSEM."""

CONTROL_FD = 3
FRAMES_FD = 4
"""Descriptor numbers in a puppet."""

SYSCALL_INT3 = 0xCC050F
"""``syscall; int3`` as the low bytes of a little-endian word."""


class Births:
    """Starts real processes and threads."""

    def __init__(self, kernel: Kernel, hands: Hands, areas: Areas, frames_fd: int) -> None:
        self._kernel = kernel
        self._hands = hands
        self._reports = hands.reports
        self._areas = areas
        self._frames_fd = frames_fd

    def spawn(self, name: str) -> PuppetProcess:
        """Start a process with nothing mapped."""
        area = self._areas.open()
        slot = area.take()
        try:
            pid = self._start_puppet()
        except BaseException:
            self._areas.close_area(area)
            raise
        try:
            entry = native.instruction_pointer(pid)
            text = native.peek(pid, entry)
            native.poke(pid, entry, text & ~0xFFFFFF | SYSCALL_INT3)
            self._map_area(pid, entry, area)
            native.poke(pid, entry, text)
        except (HostError, ProcessLookupError) as error:
            native.end(pid)
            self._areas.close_area(area)
            if isinstance(error, HostError):
                raise
            raise HostError("start a puppet", str(error), "Something killed it.") from error
        return self._enter(pid, name, self._kernel.mm_create(name), area, slot)

    def _start_puppet(self) -> int:
        """Start the program; its pid, stopped at its first instruction."""
        try:
            devnull = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise HostError("start a puppet", str(error), "Raise `ulimit -n`.") from error
        try:
            fds = [devnull, devnull, devnull, self._areas.fd, self._frames_fd]
            return native.spawn(str(native.PUPPET), ["uemu-puppet"], [], fds, autoreap=True)
        finally:
            os.close(devnull)

    def _enter(self, pid: int, name: str, mm: MmStruct, area: Area, slot: Slot) -> PuppetProcess:
        process = PuppetProcess(pid, name, mm, area)
        self._reports.enter(process)
        self._reports.enter_thread(PuppetThread(pid, process, name, slot))
        return process

    def _map_area(self, pid: int, gadget: int, area: Area) -> None:
        """Map a control area into a stopped process, by ``syscall; int3`` at ``gadget``."""
        fixed = 0x01 | 0x10
        code, rest = native.SLOT_AT, native.AREA_SIZE - native.SLOT_AT
        for call in (
            (SYS_MMAP, AREA_BASE, code, 0x1 | 0x4, fixed, CONTROL_FD, area.offset),
            (SYS_MMAP, AREA_BASE + code, rest, 0x1 | 0x2, fixed, CONTROL_FD, area.offset + code),
        ):
            result = native.syscall(pid, gadget, call)
            if result < 0:
                raise HostError("map a puppet's control area", os.strerror(-result),
                                "Raise `ulimit -v`.")  # fmt: skip

    # Processes and threads ------------------------------------------------------------

    def clone_thread(self, caller: PuppetThread, name: str) -> PuppetThread:
        """Start a real thread: clone(2) with CLONE_THREAD."""
        process = caller.process
        slot = process.area.take()
        try:
            clone = (SYS_CLONE, CLONE_THREAD_FLAGS, 0, 0, 0, 0, 0)
            tid = self._make_child(caller, [], clone, "clone")
        except BaseException:
            if process.death is None:
                process.area.give_back(slot)
            raise
        thread = PuppetThread(tid, process, name, slot)
        self._reports.enter_thread(thread)
        return thread

    def fork(self, thread: PuppetThread, name: str) -> Op[PuppetProcess]:
        """fork(2): the page tables first, then the real fork, then the child's mappings.

        Raises:
            Fault: EAGAIN or ENOMEM, the real fork failed; nothing is left of the child.
        """
        src = thread.process
        dst = yield from self._kernel.fork(thread.cpu, src.mm, name)
        calls = self._hands.mmu.take_calls(src.mm.id)
        try:
            pid = self._make_child(thread, calls, (SYS_FORK, 0, 0, 0, 0, 0, 0), "fork")
            area, slot = self._settle_child(pid, thread.slot)
        except BaseException:
            for _ in self._kernel.exit_mm(thread.cpu, dst):
                pass
            raise
        child = self._enter(pid, name, dst, area, slot)
        self._hands.mmu.forked(src.mm.id, dst.id)
        try:
            for vma in src.mm.vmas:
                if dst.find_vma(vma.vm_start) is None:
                    length = vma.vm_end - vma.vm_start
                    self._hands.unmap(child.leader, vma.vm_start, length, "fork")
            self._hands.sync(child.leader)
        except HostError:
            end_process(self._reports, child)
            raise
        return child

    def _settle_child(self, pid: int, slot: Slot) -> tuple[Area, Slot]:
        """Give a newborn process, which stands in its parent's ``slot``, one of its own."""
        try:
            area = self._areas.open()
        except HostError:
            native.end(pid)
            raise
        try:
            own = area.take(slot.index)
            self._map_area(pid, slot.syscall, area)
        except (HostError, ProcessLookupError) as error:
            self._areas.close_area(area)
            native.end(pid)
            if isinstance(error, HostError):
                raise
            raise ProcessDied(pid, "was killed", "its birth") from error
        return area, own

    def _make_child(
        self, thread: PuppetThread, before: list[native.Call], call: native.Call, what: str
    ) -> int:
        """Make calls, then one that starts a thread or process; its id, stopped at birth.

        Raises:
            Fault: the kernel refused.
            HostError: the calls before failed.
            ProcessDied: the process, or its child, died on the way.
        """
        self._reports.stillborn.clear()
        try:
            results = self._hands.make_calls(thread, [*before, call], what)
            if len(results) <= len(before):
                self._hands.must_work(thread, before, results)
            tid = results[-1]
            if tid < 0:
                raise Fault(-tid, 0, f"the real {what}: {os.strerror(-tid)}")
            self._await_birth(tid)
        except BaseException:
            for stray in (self._reports.born | self._reports.newborn) - self._reports.stillborn:
                native.end(stray)
            self._reports.newborn.clear()
            raise
        finally:
            self._reports.born.clear()
        return tid

    def _await_birth(self, tid: int) -> None:
        """Wait until a child stands at its birth."""
        reports = self._reports
        while tid not in reports.newborn:
            if tid in reports.stillborn or reports.wait():
                raise ProcessDied(tid, "was killed", "its birth")
            reports.take(reports.event, 0)
        reports.newborn.remove(tid)

    def vfork(self, thread: PuppetThread, name: str) -> PuppetProcess:
        """vfork(2): a child in the same address space; the parent waits until it ends.

        Raises:
            Fault: the real vfork failed.
        """
        process, reports = thread.process, self._reports
        reports.stillborn.clear()
        slot = process.area.take()
        try:
            thread.slot.queue([(SYS_VFORK, 0, 0, 0, 0, 0, 0)])
            err = native.go(thread.tid, thread.slot.calls, 0, reports.event)
            event = reports.settle(thread, err, "vfork")
            if event.kind != native.EVENT:
                thread.slot.struct.count = 0
                result = -thread.slot.result(0)
                raise Fault(result, 0, f"the real vfork: {os.strerror(result)}")
            pid = event.msg
            # Known at once: its parent cannot be run until it has ended.
            child = PuppetProcess(pid, name, process.mm, process.area)
            thread.in_vfork = child
            native.cont(thread.tid, 0, 0)
            self._await_birth(pid)
            if process.is_gone():
                # Nothing is left of what the child was to borrow.
                native.end(pid)
                raise reports.died(thread, "vfork")
        except BaseException:
            if thread.in_vfork is not None:
                thread.in_vfork.death = "died at its birth"
            if not process.is_gone():
                process.area.give_back(slot)
            raise
        reports.enter(child)
        reports.enter_thread(PuppetThread(pid, child, name, slot))
        return child

    def run_program(self, thread: PuppetThread, argv: Sequence[str], env: dict[str, str]) -> int:
        """posix_spawn(3), that is vfork and exec, and wait for the program's end.

        It is not emulated, may use every CPU, and has none of uemu's
        descriptors; standard input and output are /dev/null. Not supported:
        a program whose other threads exec.

        Returns:
            Its exit status, or the negative of the signal that killed it.

        Raises:
            Fault: it cannot be executed (ENOENT, EACCES ...).
            ValueError: arguments and environment take more than a page.
        """
        block = ExecBlock(argv, env)
        child = self.vfork(thread, argv[0])
        leader, reports = child.leader, self._reports
        slot = leader.slot
        slot.put(block.laid_out_at(slot.buffer))
        slot.queue(block.calls(slot.buffer))
        event = reports.settle(
            leader, native.go(leader.tid, slot.calls, 0, reports.event), "posix_spawn"
        )
        if event.kind != native.EVENT:
            error = -slot.result(len(block.calls(slot.buffer)) - 1)
            end_process(reports, child)
            reports.await_vfork(thread)
            raise Fault(error, 0, f"execve {argv[0]}: {os.strerror(error)}")
        native.alone(child.pid)
        native.cont(child.pid, 0, 0)
        while not child.is_gone():
            reports.take(reports.event, reports.wait())
            if reports.event.tid == child.pid and not child.is_gone():
                self._keep_running(child.pid)
        reports.await_vfork(thread)
        return child.status

    def _keep_running(self, pid: int) -> None:
        """Let a program go on that stopped for a reason of its own."""
        event = self._reports.event
        if event.kind in (native.SEGV, native.TRAP):
            native.cont(pid, 0, signal.SIGSEGV if event.kind == native.SEGV else signal.SIGTRAP)
        elif event.kind == native.EVENT:
            native.cont(pid, 0, 0)
