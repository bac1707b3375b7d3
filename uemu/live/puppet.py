"""Puppets: real processes and threads whose every access the tracer orders.

A puppet's thread is always stopped, at an ``int3`` of its slot, unless it is
being run. To run it the tracer fills the slot and sets rip: the thread stores
or loads, or makes system calls, and stops again. A store to a page that it
may not write traps on the way; the kernel's fault handler runs, the page
tables change, and one and the same resumption maps the frame and goes on
with the store.

Every method that does something is an operation (`uemu.step.Op`): it yields
the kernel's steps, so that a caller can park it where the kernel waits.
"""

from __future__ import annotations

import errno
import os
import signal
from typing import TypeVar

from uemu.abi import PAGE_SIZE, Direction, page_range
from uemu.dma.engine import Io, Registration, Transfer
from uemu.errors import Fault, HostError, ProcessDied
from uemu.events import Loaded, Stored
from uemu.host import native
from uemu.kernel import Kernel
from uemu.live.area import AREA_BASE, Area, Areas, Slot
from uemu.live.mmu import HIDDEN_FIXED, SYS_MMAP, SYS_MUNMAP, LiveMmu
from uemu.mm.mm_struct import MmStruct
from uemu.mm.pte import Pte
from uemu.step import Cpu, Op

SYS_FORK = 57
SYS_CLONE = 56
SYS_EXIT_GROUP = 231

CLONE_THREAD_FLAGS = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000
"""VM, FS, FILES, SIGHAND, THREAD, SYSVSEM."""

CONTROL_FD = 3
FRAMES_FD = 4
"""Descriptor numbers in a puppet."""

SYSCALL_INT3 = 0xCC050F
"""``syscall; int3`` as the low bytes of a little-endian word."""

SEGV, TRAP = native.SEGV, native.TRAP

_IoT = TypeVar("_IoT", bound=Io)

PLAIN = {1: "1", 2: "2", 4: "4", 8: "8"}
"""Lengths that one mov can access; others take ``rep movsb``."""


def _munmap(addr: int, length: int) -> native.Call:
    return (SYS_MUNMAP, addr, length, 0, 0, 0, 0)


class PuppetThread:
    """A real thread.

    Attributes:
        tid: its thread id.
        process: the process it belongs to.
        cpu: what it is called in events, and where its kernel code runs.
        slot: its slot in the process's area.
    """

    def __init__(self, tid: int, process: PuppetProcess, name: str, slot: Slot) -> None:
        self.tid = tid
        self.process = process
        self.cpu = Cpu(name)
        self.slot = slot


class PuppetProcess:
    """A real process.

    Attributes:
        pid: its process id.
        name: what people call it.
        mm: its emulated address space.
        threads: by tid; the first is the leader.
        death: how it ended, or None while it lives.
    """

    def __init__(self, pid: int, name: str, mm: MmStruct, area: Area) -> None:
        self.pid = pid
        self.name = name
        self.mm = mm
        self.area = area
        self.threads: dict[int, PuppetThread] = {}
        self.death: str | None = None

    @property
    def leader(self) -> PuppetThread:
        """The first thread."""
        return self.threads[self.pid]


class Stage:
    """All puppets of one machine, and the kernel they run under.

    Everything here happens on the tracer thread.
    """

    def __init__(self, kernel: Kernel, mmu: LiveMmu, frames_fd: int) -> None:
        self.kernel = kernel
        self.processes: dict[int, PuppetProcess] = {}
        self._mmu = mmu
        self._frames_fd = frames_fd
        self._areas = Areas()
        self._by_tid: dict[int, PuppetThread] = {}
        self._newborn: set[int] = set()
        self._event = native.new_event()

    # Starting ----------------------------------------------------------------------------

    def spawn(self, name: str) -> PuppetProcess:
        """Start a process with nothing mapped."""
        devnull = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            fds = [devnull, devnull, devnull, self._areas.fd, self._frames_fd]
            pid = native.spawn(str(native.PUPPET), ["uemu-puppet"], [], fds, autoreap=True)
        finally:
            os.close(devnull)
        area = self._areas.open()
        slot = area.take()
        try:
            entry = native.instruction_pointer(pid)
            text = native.peek(pid, entry)
            native.poke(pid, entry, text & ~0xFFFFFF | SYSCALL_INT3)
            self._map_area(pid, entry, area)
            native.poke(pid, entry, text)
        except (HostError, ProcessLookupError) as error:
            native.kill(pid)
            self._areas.close_area(area)
            if isinstance(error, HostError):
                raise
            raise HostError("start a puppet", str(error), "Something killed it.") from error
        return self._enter(pid, name, self.kernel.mm_create(name), area, slot)

    def _enter(self, pid: int, name: str, mm: MmStruct, area: Area, slot: Slot) -> PuppetProcess:
        process = PuppetProcess(pid, name, mm, area)
        self.processes[pid] = process
        self._add_thread(process, pid, name, slot)
        return process

    def _add_thread(self, process: PuppetProcess, tid: int, name: str, slot: Slot) -> PuppetThread:
        thread = PuppetThread(tid, process, name, slot)
        process.threads[tid] = self._by_tid[tid] = thread
        return thread

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

    # Running a thread ----------------------------------------------------------------------

    def _died(self, thread: PuppetThread, during: str) -> ProcessDied:
        process = thread.process
        while process.death is None:
            self._take_report(self._event, self._wait())
        return ProcessDied(process.pid, process.death, during)

    def _wait(self) -> int:
        err = native.wait(self._event, 0)
        if err == -errno.ECHILD:
            for process in list(self.processes.values()):
                self._bury(process, "vanished")
        return err

    def _settle(self, thread: PuppetThread, err: int, during: str) -> native.Event:
        """The report about ``thread`` that the last resumption led to.

        Reports about others that come first are dealt with.

        Raises:
            ProcessDied: the process is gone.
        """
        event = self._event
        while True:
            if err == 0 and event.tid == thread.tid:
                if event.kind in (native.TRAP, native.SEGV) or (
                    event.kind == native.EVENT and event.code != native.EVENT_STOP
                ):
                    return event
                if event.kind == native.SIGNAL:
                    err = native.go(thread.tid, 0, event.code, event)
                    continue
                if event.kind == native.EVENT:
                    err = native.go(thread.tid, 0, 0, event)
                    continue
            self._take_report(event, err)
            if thread.process.death is not None or thread.tid not in self._by_tid:
                raise self._died(thread, during)
            err = self._wait()

    def _take_report(self, event: native.Event, err: int) -> None:
        """Deal with a report that nobody waits for."""
        if err:
            return
        thread = self._by_tid.get(event.tid)
        if event.kind in (native.EXITED, native.KILLED):
            if thread is None:
                return
            how = f"exited with status {event.code}"
            if event.kind == native.KILLED:
                how = f"was killed by {signal.Signals(event.code).name}"
            if event.tid == thread.process.pid:
                self._bury(thread.process, how)
            else:
                self._forget_thread(thread)
        elif thread is None and event.kind == native.EVENT:
            self._newborn.add(event.tid)
        elif thread is not None and event.kind == native.SIGNAL:
            native.cont(event.tid, 0, event.code)

    def reap(self) -> None:
        """Notice processes that died while nothing ran."""
        while self._by_tid and native.wait(self._event, 1) == 0:
            if self._event.kind == native.NONE:
                return
            self._take_report(self._event, 0)

    def _forget_thread(self, thread: PuppetThread) -> None:
        del self._by_tid[thread.tid]
        del thread.process.threads[thread.tid]
        thread.process.area.give_back(thread.slot)

    def _bury(self, process: PuppetProcess, how: str) -> None:
        """A process is gone: its address space ends, its frames are freed."""
        if process.death is not None:
            return
        process.death = how
        cpu = process.threads[process.pid].cpu
        for thread in list(process.threads.values()):
            self._by_tid.pop(thread.tid, None)
        del self.processes[process.pid]
        self._areas.close_area(process.area)
        for _ in self.kernel.exit_mm(cpu, process.mm):
            pass

    def check_alive(self, thread: PuppetThread) -> None:
        """Raise ProcessDied unless the thread can still be run."""
        self.reap()
        process = thread.process
        if process.death is not None:
            raise ProcessDied(process.pid, process.death, "an earlier call")
        if thread.tid not in process.threads:
            raise ProcessDied(thread.tid, "(a thread) ended", "an earlier call")

    # System calls of a puppet ------------------------------------------------------------------

    def make_calls(self, thread: PuppetThread, calls: list[native.Call], what: str) -> list[int]:
        """Let a thread make system calls; what each returned, the last may be an error.

        Raises:
            ProcessDied: the process died on the way.
        """
        slot, results = thread.slot, []
        for start in range(0, len(calls), native.MAX_CALLS):
            batch = calls[start : start + native.MAX_CALLS]
            slot.queue(batch)
            err = native.go(thread.tid, slot.calls, 0, self._event)
            event = self._settle(thread, err, what)
            while event.kind == native.EVENT:
                event = self._settle(thread, native.go(thread.tid, 0, 0, self._event), what)
            if event.kind != native.TRAP:
                raise HostError(f"run {what} in a puppet", f"it faulted at {event.addr:#x}",
                                "Its memory was changed behind uemu's back.")  # fmt: skip
            made = len(batch) - slot.struct.count
            results += [slot.result(i) for i in range(min(made + 1, len(batch)))]
            if slot.struct.count:
                break
        return results

    def sync(self, thread: PuppetThread) -> None:
        """Make the thread's real process agree with its page table."""
        calls = self._mmu.take_calls(thread.process.mm.id)
        if calls:
            self._must_work(self.make_calls(thread, calls, "a change of its page table"), calls)

    def _must_work(self, results: list[int], calls: list[native.Call]) -> None:
        if results[-1] < 0 or len(results) < len(calls):
            raise HostError(
                "map page frames into a puppet",
                os.strerror(-results[-1]),
                "If it is ENOMEM, raise vm.max_map_count or use fewer pages.",
            )

    # Accesses --------------------------------------------------------------------------------------

    def store(self, thread: PuppetThread, addr: int, data: bytes) -> Op[None]:
        """Store with real instructions: one mov for 1, 2, 4 or 8 bytes, else rep movsb.

        Raises:
            Fault: EFAULT, not mapped or not writable.
        """
        slot = thread.slot
        for start in range(0, len(data), PAGE_SIZE):
            piece = data[start : start + PAGE_SIZE]
            slot.struct.addr = addr + start
            if len(piece) in PLAIN:
                slot.struct.value = int.from_bytes(piece, "little")
                entry = slot.entry("store" + PLAIN[len(piece)])
            else:
                slot.struct.length = len(piece)
                slot.put(piece)
                entry = slot.entry("store_bytes")
            yield from self._access(thread, entry, write=True)
            self._announce(thread, addr + start, piece, Stored)

    def load(self, thread: PuppetThread, addr: int, length: int) -> Op[bytes]:
        """Load with real instructions.

        Raises:
            Fault: EFAULT, not mapped or not readable.
        """
        slot, pieces = thread.slot, []
        for start in range(0, length, PAGE_SIZE):
            size = min(PAGE_SIZE, length - start)
            slot.struct.addr = addr + start
            plain = size in PLAIN
            if not plain:
                slot.struct.length = size
            entry = slot.entry("load" + PLAIN[size] if plain else "load_bytes")
            yield from self._access(thread, entry, write=False)
            if plain:
                piece = (slot.struct.value & (1 << 8 * size) - 1).to_bytes(size, "little")
            else:
                piece = slot.get(size)
            pieces.append(piece)
            self._announce(thread, addr + start, piece, Loaded)
        return b"".join(pieces)

    def _announce(
        self, thread: PuppetThread, addr: int, data: bytes, kind: type[Stored] | type[Loaded]
    ) -> None:
        mm, at = thread.process.mm, addr
        for base in page_range(addr, len(data)):
            end = min(addr + len(data), base + PAGE_SIZE)
            pte = mm.pte(base).peek()
            if isinstance(pte, Pte):
                piece = data[at - addr : end - addr]
                self.kernel.events.emit(kind(thread.cpu.name, mm.id, at, pte.pfn, piece))
            at = end

    def _access(self, thread: PuppetThread, entry: int, *, write: bool) -> Op[None]:
        """Run one access to its end, through as many faults as it takes."""
        kernel, mmu, mm = self.kernel, self._mmu, thread.process.mm
        tid, slot, cpu, event = thread.tid, thread.slot, thread.cpu, self._event
        struct, resume, go, go_call = slot.struct, slot.resume, native.go, native.go_call
        what = "a store" if write else "a load"
        err = go(tid, entry, 0, event)
        while True:
            if err or event.tid != tid or (event.kind != SEGV and event.kind != TRAP):
                event = self._settle(thread, err, what)
            if event.kind == TRAP:
                if struct.count:
                    self._must_work([slot.result(0)], [])
                return
            ip = event.ip
            for step in kernel.fault(cpu, mm, event.addr, write=write):
                if step.enabled is not None and not step.enabled():
                    yield step
            call = mmu.take_call(mm.id)
            if call is not None:
                err = go_call(tid, resume, struct, ip, *call, event)
            elif calls := mmu.take_calls(mm.id):
                slot.queue(calls)
                struct.ip = ip
                err = go(tid, resume, 0, event)
            else:
                err = go(tid, 0, 0, event)

    # Processes and threads -----------------------------------------------------------------------------

    def clone_thread(self, process: PuppetProcess, name: str) -> PuppetThread:
        """Start a real thread: clone(2) with CLONE_THREAD."""
        leader = process.leader
        slot = process.area.take()
        tid = self._make_child(leader, [(SYS_CLONE, CLONE_THREAD_FLAGS, 0, 0, 0, 0, 0)], "clone")
        return self._add_thread(process, tid, name, slot)

    def fork(self, thread: PuppetThread, name: str) -> Op[PuppetProcess]:
        """fork(2): the page tables first, then the real fork, then the child's mappings.

        Raises:
            Fault: EAGAIN or ENOMEM, the real fork failed; nothing is left of the child.
        """
        src = thread.process
        dst = yield from self.kernel.fork(thread.cpu, src.mm, name)
        calls = self._mmu.take_calls(src.mm.id)
        try:
            pid = self._make_child(thread, [*calls, (SYS_FORK, 0, 0, 0, 0, 0, 0)], "fork")
        except (Fault, ProcessDied):
            for _ in self.kernel.exit_mm(thread.cpu, dst):
                pass
            raise
        area = self._areas.open()
        slot = area.take(thread.slot.index)
        # The child stands in its parent's slot; it must have its own before it moves.
        self._map_area(pid, thread.slot.syscall, area)
        child = self._enter(pid, name, dst, area, slot)
        self._mmu.forked(src.mm.id, dst.id)
        for vma in src.mm.vmas:
            if dst.find_vma(vma.vm_start) is None:
                length = vma.vm_end - vma.vm_start
                self.make_calls(child.leader, [_munmap(vma.vm_start, length)], "fork")
                self._mmu.unmapped(dst.id, vma.vm_start, vma.vm_end)
        self.sync(child.leader)
        return child

    def _make_child(self, thread: PuppetThread, calls: list[native.Call], what: str) -> int:
        """Make calls of which the last starts a thread or process; its id, stopped at birth."""
        results = self.make_calls(thread, calls, what)
        if results[-1] < 0 or len(results) < len(calls):
            raise Fault(-results[-1], 0, f"the real {what}: {os.strerror(-results[-1])}")
        tid = results[-1]
        while tid not in self._newborn:
            err = self._wait()
            if err:
                raise Fault(errno.EAGAIN, 0, f"the real {what}: its child vanished")
            self._take_report(self._event, err)
        self._newborn.remove(tid)
        return tid

    def exit(self, process: PuppetProcess, status: int) -> None:
        """exit_group(2); the address space ends when the process is reaped."""
        leader = process.leader
        leader.slot.queue([(SYS_EXIT_GROUP, status, 0, 0, 0, 0, 0)])
        err = native.go(leader.tid, leader.slot.calls, 0, self._event)
        while process.death is None:
            self._take_report(self._event, err)
            if process.death is None:
                err = self._wait()

    def kill(self, process: PuppetProcess) -> None:
        """SIGKILL, and wait until it is gone."""
        native.kill(process.pid)
        while process.death is None:
            self._take_report(self._event, self._wait())

    # Mappings ----------------------------------------------------------------------------------------------

    def mmap(self, thread: PuppetThread, length: int, prot: int) -> Op[int]:
        """mmap(2): private anonymous memory, framed from the first touch."""
        mm = thread.process.mm
        addr = yield from self.kernel.mmap(thread.cpu, mm, length, prot)
        vma = mm.find_vma(addr)
        assert vma is not None
        call = (SYS_MMAP, addr, vma.vm_end - addr, 0, HIDDEN_FIXED, -1 & (1 << 64) - 1, 0)
        self._must_work(self.make_calls(thread, [call], "mmap"), [call])
        return addr

    def munmap(self, thread: PuppetThread, addr: int, length: int) -> Op[None]:
        """munmap(2)."""
        mm = thread.process.mm
        yield from self.kernel.munmap(thread.cpu, mm, addr, length)
        end = addr + (length + PAGE_SIZE - 1) // PAGE_SIZE * PAGE_SIZE
        self._mmu.unmapped(mm.id, addr, end)
        self.make_calls(thread, [_munmap(addr, end - addr)], "munmap")

    def change(self, thread: PuppetThread, op: Op[None]) -> Op[None]:
        """Run an operation on the thread's mm (mprotect, madvise) and apply it."""
        try:
            yield from op
        finally:
            self.sync(thread)

    # I/O ---------------------------------------------------------------------------------------------------

    def dio_submit(
        self, thread: PuppetThread, addr: int, length: int, direction: Direction, api: str
    ) -> Op[Transfer]:
        """Hold pages and start a transfer; faults that gup took are applied."""
        mm = thread.process.mm
        op = self.kernel.dio_submit(thread.cpu, mm, addr, length, direction, api)
        return (yield from self._applying(thread, op))

    def register(
        self, thread: PuppetThread, addr: int, length: int, writable: bool, api: str
    ) -> Op[Registration]:
        """Hold pages until released; faults that gup took are applied."""
        mm = thread.process.mm
        op = self.kernel.register(thread.cpu, mm, addr, length, writable, api)
        return (yield from self._applying(thread, op))

    def _applying(self, thread: PuppetThread, op: Op[_IoT]) -> Op[_IoT]:
        try:
            return (yield from op)
        finally:
            self.sync(thread)

    # Ending ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Kill every process and wait until all are gone."""
        for process in reversed(list(self.processes.values())):
            self.kill(process)
        self._areas.close()
