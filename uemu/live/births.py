"""How puppets come into being: spawn, clone, fork, vfork, posix_spawn."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from uemu.abi import SYS_CLONE, SYS_VFORK
from uemu.errors import Fault, HostError
from uemu.host import native
from uemu.kernel import Kernel
from uemu.live.endings import end_process
from uemu.live.exec_block import ExecBlock
from uemu.live.hands import Hands
from uemu.live.newborn import Newborns
from uemu.live.puppet import PuppetProcess, PuppetThread
from uemu.step import Op

CLONE_THREAD_FLAGS = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000
"""VM, FS, FILES, SIGHAND, THREAD, SYSVSEM."""


class Births:
    """Starts real processes and threads, under the kernel's rules.

    Attributes:
        newborns: the births themselves.
    """

    def __init__(self, kernel: Kernel, hands: Hands, newborns: Newborns) -> None:
        self._kernel = kernel
        self._hands = hands
        self._reports = hands.reports
        self.newborns = newborns

    def spawn(self, name: str) -> PuppetProcess:
        """Start a process with nothing mapped."""
        newborn = self.newborns.spawn()
        return self.newborns.enter(newborn, name, self._kernel.mm_create(name))

    # Processes and threads ------------------------------------------------------------

    def clone_thread(self, caller: PuppetThread, name: str) -> PuppetThread:
        """Start a real thread: clone(2) with CLONE_THREAD."""
        process = caller.process
        slot = process.area.take()
        try:
            clone = (SYS_CLONE, CLONE_THREAD_FLAGS, 0, 0, 0, 0, 0)
            tid = self.newborns.make_child(caller, [], clone, "clone")
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
            Fault: EAGAIN or ENOMEM, the real fork failed, or ENOMEM, the emulated
                kernel's did, and there is no real one; nothing is left of the child.
        """
        src = thread.process
        try:
            dst = yield from self._kernel.fork(thread.cpu, src.mm, name)
        except Fault:
            self._hands.sync(thread)
            raise
        calls = self._hands.mmu.take_calls(src.mm.id)
        try:
            newborn = self.newborns.fork(thread, calls)
        except BaseException:
            for _ in self._kernel.exit_mm(thread.cpu, dst):
                pass
            raise
        child = self.newborns.enter(newborn, name, dst)
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
            if not pid:  # it was killed before it could say whom it bore
                raise reports.died(thread, "vfork")
            # Known at once: its parent cannot be run until it has ended.
            child = PuppetProcess(pid, name, process.mm, process.area)
            thread.in_vfork = child
            native.cont(thread.tid, 0, 0)
            self.newborns.await_birth(pid)
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
        child, reports = self.vfork(thread, argv[0]), self._reports
        try:
            self._execute(child, block)
        except Fault:
            end_process(reports, child)
            reports.await_vfork(thread)
            raise
        reports.await_vfork(thread)
        return child.status

    def execute(self, child: PuppetProcess, argv: Sequence[str], env: dict[str, str]) -> int:
        """execve(2) of a vfork child, and wait for the program's end; as `run_program`.

        Returns:
            Its exit status, or the negative of the signal that killed it.

        Raises:
            Fault: it cannot be executed (ENOENT, EACCES ...); the child is as before.
            ValueError: it is no vfork child; arguments and environment take more than a page.
        """
        if not any(other.mm is child.mm for other in self._others(child)):
            raise ValueError(f"process {child.pid} has its own memory: only vfork children exec")
        self._execute(child, ExecBlock(argv, env))
        return child.status

    def _others(self, process: PuppetProcess) -> list[PuppetProcess]:
        return [other for other in self._reports.processes.values() if other is not process]

    def _execute(self, child: PuppetProcess, block: ExecBlock) -> None:
        leader, reports = child.leader, self._reports
        slot = leader.slot
        slot.put(block.laid_out_at(slot.buffer))
        slot.queue(block.calls(slot.buffer))
        event = reports.settle(
            leader, native.go(leader.tid, slot.calls, 0, reports.event), "posix_spawn"
        )
        if event.kind != native.EVENT:
            error = -slot.result(len(block.calls(slot.buffer)) - 1)
            raise Fault(error, 0, f"execve {block.program}: {os.strerror(error)}")
        native.alone(child.pid)
        native.cont(child.pid, 0, 0)
        while not child.is_gone():
            reports.take(reports.event, reports.wait())
            if reports.event.tid == child.pid and not child.is_gone():
                self._keep_running(child.pid)

    def _keep_running(self, pid: int) -> None:
        """Let a program go on that stopped for a reason of its own."""
        event = self._reports.event
        if event.kind in (native.SEGV, native.TRAP):
            native.cont(pid, 0, signal.SIGSEGV if event.kind == native.SEGV else signal.SIGTRAP)
        elif event.kind == native.EVENT:
            native.cont(pid, 0, 0)
