"""io_uring_register: buffers, whose pages stay pinned, and files.

The host kernel registers all of it, too: its limits and errors hold, and whatever
it does with a registered buffer by itself it does to the frames that we hold.

Source: io_uring_register(2); Linux v6.18, io_uring/rsrc.c.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Sequence

from uemu import abi as linux
from uemu.errors import Fault
from uemu.host import tracee
from uemu.host.tracee import Stop
from uemu.kernel import Kernel
from uemu.live.program import uring_abi as abi
from uemu.live.program.adoption import Adoption
from uemu.live.program.framing import Framing
from uemu.live.program.schedule import Schedule
from uemu.live.program.tasks import ProgramMm, Task
from uemu.live.program.tracees import Tracees
from uemu.live.program.uring_ring import Registered, Ring
from uemu.step import Cpu, run

Buffers = Sequence[tuple[int, int]]


class Register:
    """What io_uring_register does beside what the host kernel does."""

    def __init__(
        self,
        kernel: Kernel,
        tracees: Tracees,
        framing: Framing,
        adoption: Adoption,
        schedule: Schedule,
        note: Callable[[str], None],
    ) -> None:
        self._kernel = kernel
        self._tracees = tracees
        self._framing = framing
        self._adoption = adoption
        self._schedule = schedule
        self._note = note
        self._rings: list[Ring] = []

    def register(self, task: Task, stop: Stop, ring: Ring) -> None:
        """io_uring_register(2) on a ring that we know."""
        opcode, where, count = stop.args[1], stop.args[2], stop.args[3] & 0xFFFF_FFFF
        if opcode in abi.REGISTER_REFUSED:
            name = abi.REGISTER_REFUSED[opcode]
            self._note(f"{name} is not supported: it is refused (EINVAL)")
            self._tracees.return_from_call(task, -errno.EINVAL)
            return
        if opcode == abi.REGISTER_BUFFERS:
            result = self._put(task, stop, ring, 0, self._iov(task, where, count))
        elif opcode == abi.REGISTER_BUFFERS2:
            nr, flags, data = self._rsrc(task, where, "=II8xQ")
            iov = [] if flags & abi.RSRC_SPARSE else self._iov(task, data, nr)
            result = self._put(task, stop, ring, 0, iov, size=nr)
        elif opcode == abi.REGISTER_BUFFERS_UPDATE:
            start, _, data, _, nr = self._rsrc(task, where, "=IIQQI4x")
            result = self._put(task, stop, ring, start, self._iov(task, data, nr), update=True)
        elif opcode == abi.UNREGISTER_BUFFERS:
            result = self._call(task, stop)
            if result == 0:
                self.release(ring)
        elif opcode in FILES:
            result = self._call(task, stop)
            if result >= 0:
                self._files(task, ring, opcode, where, count, result)
        else:
            self._tracees.pass_call(task)
            return
        self._tracees.return_from_call(task, result)

    def _call(self, task: Task, stop: Stop) -> int:
        """Let the task make its call."""
        fd, opcode, where, count = stop.args[:4]
        call = (linux.SYS_IO_URING_REGISTER, fd, opcode, where, count, 0, 0)
        return self._tracees.inject(task, [call])[0]

    # Buffers ---------------------------------------------------------------------------------

    def _put(
        self,
        task: Task,
        stop: Stop,
        ring: Ring,
        start: int,
        iov: Buffers,
        *,
        size: int = 0,
        update: bool = False,
    ) -> int:
        """Pin buffers and register them from index ``start`` on; what the call returns."""
        pinned: list[Registered | None] = []
        kept = 0
        try:
            for addr, length in iov:
                pinned.append(self._pin(task, addr, length))
            done = self._call(task, stop)
            kept = max(0, done) if update else len(pinned) if done == 0 else 0
        except Fault as fault:
            done = -fault.errno
        finally:
            self._unpin(pinned[kept:])
        pinned = pinned[:kept]
        if done >= 0:
            ring.buffers += [None] * (max(size, start + kept) - len(ring.buffers))
            replaced = ring.buffers[start : start + kept]
            ring.buffers[start : start + kept] = pinned
            self._unregister(ring, replaced)
            if ring not in self._rings:
                self._rings.append(ring)
        return done

    def _pin(self, task: Task, addr: int, length: int) -> Registered | None:
        """Hold a buffer's pages; None: it is not ours, and the host kernel says what it is.

        Raises:
            Fault: EFAULT.
            TaskGone: it died.
        """
        mm = task.mm
        if not length or not self._adoption.can_pin(mm, addr, length, write=True):
            return None
        self._adoption.adopt(task, [(addr, length)], write=True)
        before = {base: self._framing.pte(mm, base) for base in linux.page_range(addr, length)}
        io = run(self._kernel.io.register(task.cpu, mm.mm, addr, length, True, "io_uring"))
        try:
            self._framing.sync(mm, task)
        except BaseException:
            run(self._kernel.io.release(task.cpu, io))
            raise
        for base, old in before.items():
            new = self._framing.pte(mm, base)
            if old is not None and new is not None and new.pfn != old.pfn:
                self._schedule.wrote(mm, base, old.pfn)
        return Registered(addr, length, mm, io, mm.nr_children)

    def _unpin(self, buffers: Sequence[Registered | None]) -> None:
        """Give pages back, which no request is for any more: a device may be that fast."""
        for buffer in buffers:
            if buffer is not None and buffer.io.live:
                self._schedule.drain_io(buffer.io)
                run(self._kernel.io.release(Cpu("io_uring"), buffer.io))

    def release(self, ring: Ring) -> None:
        """A ring's buffers are registered no more."""
        buffers, ring.buffers = ring.buffers, []
        self._unregister(ring, buffers)

    def _unregister(self, ring: Ring, buffers: Sequence[Registered | None]) -> None:
        """Give pages back, unless the host kernel may still use them."""
        if ring.leaves_fixed:
            ring.kept += buffers
        else:
            self._unpin(buffers)

    def release_all(self, ring: Ring) -> None:
        """A ring is gone."""
        self._unpin([*ring.buffers, *ring.kept])
        ring.buffers, ring.kept = [], []
        ring.forget_files()
        if ring in self._rings:
            self._rings.remove(ring)

    def mm_ends(self, mm: ProgramMm) -> None:
        """An address space is about to end: what is registered of it is held no longer."""
        for ring in self._rings:
            # They stay in its table: who asks for them gets EFAULT.
            self._unpin([b for b in (*ring.buffers, *ring.kept) if b is not None and b.mm is mm])

    def _iov(self, task: Task, where: int, count: int) -> list[tuple[int, int]]:
        """An array of struct iovec; what cannot be read, or is too much, the kernel refuses."""
        try:
            data = task.mm.memory.read(where, abi.IOVEC.size * min(count, MOST_BUFFERS))
        except OSError:
            return []
        whole = len(data) - len(data) % abi.IOVEC.size
        pieces = [*abi.IOVEC.iter_unpack(data[:whole])]
        return pieces if len(pieces) == count else []

    def _rsrc(self, task: Task, where: int, form: str) -> tuple[int, ...]:
        """The fields of a struct io_uring_rsrc_...; zeros if they cannot be read."""
        size = struct.calcsize(form)
        try:
            data = task.mm.memory.read(where, size)
        except OSError:
            data = b""
        return struct.unpack(form, data.ljust(size, b"\0"))

    # Files -----------------------------------------------------------------------------------

    def _files(
        self, task: Task, ring: Ring, opcode: int, where: int, count: int, result: int
    ) -> None:
        """Have descriptors of our own for what is registered."""
        start, data = 0, where
        if opcode == abi.UNREGISTER_FILES:
            ring.forget_files()
            return
        if opcode == abi.REGISTER_FILES2:
            count, flags, data = self._rsrc(task, where, "=II8xQ")
            data = 0 if flags & abi.RSRC_SPARSE else data
        elif opcode == abi.REGISTER_FILES_UPDATE:
            start, _, data = self._rsrc(task, where, "=IIQ")
        elif opcode == abi.REGISTER_FILES_UPDATE2:
            start, _, data, _, count = self._rsrc(task, where, "=IIQQI4x")
        if opcode in (abi.REGISTER_FILES_UPDATE, abi.REGISTER_FILES_UPDATE2):
            count = result
        ring.files += [-1] * (start + count - len(ring.files))
        raw = task.mm.memory.read(data, 4 * count) if data else struct.pack("=i", -1) * count
        for index, (fd,) in enumerate(struct.iter_unpack("=i", raw), start):
            if fd == abi.FILE_SKIP:
                continue
            old = ring.files[index]
            if old is not None and old >= 0:
                os.close(old)
            own = tracee.getfd(task.pid, fd, task.tid) if fd >= 0 else -1
            ring.files[index] = own if own >= 0 or fd < 0 else None


FILES = (
    abi.REGISTER_FILES,
    abi.UNREGISTER_FILES,
    abi.REGISTER_FILES_UPDATE,
    abi.REGISTER_FILES2,
    abi.REGISTER_FILES_UPDATE2,
)

MOST_BUFFERS = 1 << 14
"""Linux: io_uring/rsrc.h, IORING_MAX_REG_BUFFERS."""
