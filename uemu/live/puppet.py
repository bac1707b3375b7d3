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
from uemu.mm.mm_struct import MMAP_BASE, MmStruct
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

PATIENCE = 8
"""How often in a row an access may fault where its page table says all is well."""

PLAIN = {1: "1", 2: "2", 4: "4", 8: "8"}
"""Lengths that one mov can access; others take ``rep movsb``."""


def _munmap(addr: int, length: int) -> native.Call:
    return (SYS_MUNMAP, addr, length, 0, 0, 0, 0)


def check_user_addr(mm: MmStruct, addr: int, *, write: bool) -> None:
    """Raise EFAULT outside of what the emulated kernel manages.

    Below and above lies what makes the puppet a puppet; a real access there
    could succeed.
    """
    if not MMAP_BASE <= addr < mm.next_addr:
        raise Fault(errno.EFAULT, addr, "a store" if write else "a load")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _changed(what: str, addr: int) -> HostError:
    return HostError(f"run {what} in a puppet", f"it faulted at {addr:#x}",
                     "Its memory was changed behind uemu's back.")  # fmt: skip


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
        self._born: set[int] = set()
        self._newborn: set[int] = set()
        self._stillborn: set[int] = set()
        self._event = native.new_event()

    # Starting -------------------------------------------------------------------------

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
            native.end(pid)
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

    # Running a thread -----------------------------------------------------------------

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
            if err == -errno.ESRCH and not os.path.exists(f"/proc/{thread.tid}"):
                self._bury(thread.process, "was reaped by another part of this program")
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
                self._stillborn.add(event.tid)
                return
            how = f"exited with status {event.code}"
            if event.kind == native.KILLED:
                how = f"was killed by {_signal_name(event.code)}"
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

    # System calls of a puppet ---------------------------------------------------------

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
                self._born.add(event.msg)
                event = self._settle(thread, native.go(thread.tid, 0, 0, self._event), what)
            if event.kind != native.TRAP:
                raise _changed(what, event.addr)
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
        calls = self._mmu.take_calls(thread.process.mm.id)
        if calls:
            results = self.make_calls(thread, calls, "a change of its page table")
            self._must_work(thread, calls, results)

    def _must_work(
        self, thread: PuppetThread, calls: list[native.Call], results: list[int]
    ) -> None:
        """Raise HostError if the last of ``results`` is an error."""
        if results[-1] >= 0:
            return
        self._mmu.not_applied(thread.process.mm, calls[len(results) - 1 :])
        raise HostError(
            f"change the mappings of puppet {thread.process.pid}",
            os.strerror(-results[-1]),
            "Use fewer pages or processes, or raise `sysctl vm.max_map_count`"
            " (and `ulimit -v`, if there is one).",
        )

    # Accesses -------------------------------------------------------------------------

    def store(self, thread: PuppetThread, addr: int, data: bytes) -> Op[None]:
        """Store with real instructions: one mov for 1, 2, 4 or 8 bytes, else rep movsb.

        Raises:
            Fault: EFAULT, not mapped or not writable.
        """
        slot = thread.slot
        check_user_addr(thread.process.mm, addr, write=True)
        for start in range(0, len(data), PAGE_SIZE):
            piece = data[start : start + PAGE_SIZE]
            plain = len(piece) in PLAIN
            slot.struct.addr = addr + start
            if plain:
                slot.struct.value = int.from_bytes(piece, "little")
                entry = slot.entry("store" + PLAIN[len(piece)])
            else:
                slot.struct.length = len(piece)
                slot.put(piece)
                entry = slot.entry("store_bytes")
            try:
                yield from self._access(thread, entry, write=True)
            except Fault as fault:
                if not plain:
                    # rep movsb has stored what lies before the page that refused.
                    self._announce(thread, addr + start, piece[: fault.addr - addr - start], Stored)
                raise
            self._announce(thread, addr + start, piece, Stored)

    def load(self, thread: PuppetThread, addr: int, length: int) -> Op[bytes]:
        """Load with real instructions.

        Raises:
            Fault: EFAULT, not mapped or not readable.
        """
        slot, pieces = thread.slot, []
        check_user_addr(thread.process.mm, addr, write=False)
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
        for base in page_range(addr, len(data)) if data else ():
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
        call: native.Call | None = None
        idle = 0
        err = go(tid, entry, 0, event)
        while True:
            if err or event.tid != tid or (event.kind != SEGV and event.kind != TRAP):
                event = self._settle(thread, err, what)
            if event.kind == TRAP:
                if struct.count and call is not None:
                    struct.count = 0
                    self._must_work(thread, [call], [slot.result(0)])
                return
            ip = event.ip
            for step in kernel.fault(cpu, mm, event.addr, write=write):
                if step.enabled is not None and not step.enabled():
                    yield step
            call = mmu.take_call(mm.id)
            if call is not None:
                err = go_call(tid, resume, struct, ip, *call, event)
                idle = 0
            elif calls := mmu.take_calls(mm.id):
                # More than the fault's own: some that failed before. From the start again.
                self._must_work(thread, calls, self.make_calls(thread, calls, what))
                err = go(tid, entry, 0, event)
            elif idle < PATIENCE:
                idle += 1
                err = go(tid, 0, 0, event)
            else:
                raise _changed(what, event.addr)

    # Processes and threads ------------------------------------------------------------

    def clone_thread(self, process: PuppetProcess, name: str) -> PuppetThread:
        """Start a real thread: clone(2) with CLONE_THREAD."""
        leader = process.leader
        slot = process.area.take()
        try:
            clone = (SYS_CLONE, CLONE_THREAD_FLAGS, 0, 0, 0, 0, 0)
            tid = self._make_child(leader, [], clone, "clone")
        except BaseException:
            if process.death is None:
                process.area.give_back(slot)
            raise
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
            pid = self._make_child(thread, calls, (SYS_FORK, 0, 0, 0, 0, 0, 0), "fork")
            area, slot = self._settle_child(pid, thread.slot)
        except BaseException:
            for _ in self.kernel.exit_mm(thread.cpu, dst):
                pass
            raise
        child = self._enter(pid, name, dst, area, slot)
        self._mmu.forked(src.mm.id, dst.id)
        try:
            for vma in src.mm.vmas:
                if dst.find_vma(vma.vm_start) is None:
                    length = vma.vm_end - vma.vm_start
                    self._unmap(child.leader, vma.vm_start, length, "fork")
            self.sync(child.leader)
        except HostError:
            self.kill(child)
            raise
        return child

    def _settle_child(self, pid: int, slot: Slot) -> tuple[Area, Slot]:
        """Give a newborn process, which stands in its parent's ``slot``, one of its own."""
        area = self._areas.open()
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
        self._stillborn.clear()
        try:
            results = self.make_calls(thread, [*before, call], what)
            if len(results) <= len(before):
                self._must_work(thread, before, results)
            tid = results[-1]
            if tid < 0:
                raise Fault(-tid, 0, f"the real {what}: {os.strerror(-tid)}")
            while tid not in self._newborn:
                if self._wait() or tid in self._stillborn:
                    raise ProcessDied(tid, "was killed", "its birth")
                self._take_report(self._event, 0)
            self._newborn.remove(tid)
        except BaseException:
            for stray in (self._born | self._newborn) - self._stillborn:
                native.end(stray)
            self._newborn.clear()
            raise
        finally:
            self._born.clear()
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
        if native.kill(process.pid):
            self._bury(process, "was reaped by another part of this program")
        while process.death is None:
            self._take_report(self._event, self._wait())

    # Mappings -------------------------------------------------------------------------

    def mmap(self, thread: PuppetThread, length: int, prot: int) -> Op[int]:
        """mmap(2): private anonymous memory, framed from the first touch."""
        mm = thread.process.mm
        addr = yield from self.kernel.mmap(thread.cpu, mm, length, prot)
        vma = mm.find_vma(addr)
        assert vma is not None
        size = vma.vm_end - addr
        call = (SYS_MMAP, addr, size, 0, HIDDEN_FIXED, -1 & (1 << 64) - 1, 0)
        (result,) = self.make_calls(thread, [call], "mmap")
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
        call = (SYS_MMAP, target, size, 0, HIDDEN_FIXED, -1 & (1 << 64) - 1, 0)
        self._must_work(thread, [call], self.make_calls(thread, [call], "mremap"))
        end = addr + (old_length + PAGE_SIZE - 1) // PAGE_SIZE * PAGE_SIZE
        self._mmu.unmapped(mm.id, addr, end)
        self.sync(thread)
        self._unmap(thread, addr, end - addr, "mremap")
        return target

    def munmap(self, thread: PuppetThread, addr: int, length: int) -> Op[None]:
        """munmap(2)."""
        mm = thread.process.mm
        yield from self.kernel.munmap(thread.cpu, mm, addr, length)
        end = addr + (length + PAGE_SIZE - 1) // PAGE_SIZE * PAGE_SIZE
        # What lies outside is the puppet's own, which no program knows of.
        start, end = max(addr, MMAP_BASE), min(end, mm.next_addr)
        if start < end:
            self._unmap(thread, start, end - start, "munmap")

    def _unmap(self, thread: PuppetThread, start: int, length: int, what: str) -> None:
        results = self.make_calls(thread, [_munmap(start, length)], what)
        self._must_work(thread, [_munmap(start, length)], results)
        self._mmu.unmapped(thread.process.mm.id, start, start + length)

    def change(self, thread: PuppetThread, op: Op[None]) -> Op[None]:
        """Run an operation on the thread's mm (mprotect, madvise) and apply it."""
        try:
            yield from op
        finally:
            self.sync(thread)

    # I/O ------------------------------------------------------------------------------

    def dio_submit(
        self, thread: PuppetThread, addr: int, length: int, direction: Direction, api: str
    ) -> Op[Transfer]:
        """Hold pages and start a transfer; faults that gup took are applied."""
        mm = thread.process.mm
        op = self.kernel.io.dio_submit(thread.cpu, mm, addr, length, direction, api)
        return (yield from self._applying(thread, op))

    def register(
        self, thread: PuppetThread, addr: int, length: int, writable: bool, api: str
    ) -> Op[Registration]:
        """Hold pages until released; faults that gup took are applied."""
        mm = thread.process.mm
        op = self.kernel.io.register(thread.cpu, mm, addr, length, writable, api)
        return (yield from self._applying(thread, op))

    def _applying(self, thread: PuppetThread, op: Op[_IoT]) -> Op[_IoT]:
        try:
            return (yield from op)
        finally:
            self.sync(thread)

    # Ending ---------------------------------------------------------------------------

    def close(self) -> None:
        """Kill every process and wait until all are gone."""
        for process in reversed(list(self.processes.values())):
            self.kill(process)
        self._areas.close()
