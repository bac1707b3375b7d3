"""Direct I/O of programs as DMA transfers: read, pread, readv, preadv and the writes.

The file is read and written through a descriptor of our own for the same open
file description, at the moment the device moves its bytes: offsets, short
reads, alignment and errors are the host kernel's. The task waits, stopped at
its call, until its transfer is over.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from uemu import abi
from uemu.abi import Direction
from uemu.dma.engine import Io, Registration, Transfer
from uemu.errors import Fault, InvariantError
from uemu.host import tracee
from uemu.kernel import Kernel
from uemu.live.program.adoption import Adoption
from uemu.live.program.framing import Framing
from uemu.live.program.outputs_rules import signed
from uemu.live.program.request import (
    Buffers,
    Request,
    Staging,
    is_aligned,
    is_direct,
    is_within_limit,
)
from uemu.live.program.result import Stats
from uemu.live.program.schedule import Flight, Schedule
from uemu.live.program.tasks import ProgramMm, Task
from uemu.oracle.violations import Violation
from uemu.step import run

LIVELOCK: Final = "livelock"
MAX_IOV: Final = 1024


@dataclass(frozen=True, slots=True)
class Form:
    """One of the calls.

    Attributes:
        direction: FROM_DEVICE reads.
        vectored: the buffer is an array of struct iovec.
        offset_arg: which argument is the offset; None: the file's own.
        flags_arg: which argument holds RWF_* flags.
    """

    direction: Direction
    vectored: bool = False
    offset_arg: int | None = None
    flags_arg: int | None = None


_IN, _OUT = Direction.FROM_DEVICE, Direction.TO_DEVICE

FORMS: Final[dict[int, Form]] = {
    abi.SYS_READ: Form(_IN),
    abi.SYS_WRITE: Form(_OUT),
    abi.SYS_PREAD64: Form(_IN, offset_arg=3),
    abi.SYS_PWRITE64: Form(_OUT, offset_arg=3),
    abi.SYS_READV: Form(_IN, vectored=True),
    abi.SYS_WRITEV: Form(_OUT, vectored=True),
    abi.SYS_PREADV: Form(_IN, vectored=True, offset_arg=3),
    abi.SYS_PWRITEV: Form(_OUT, vectored=True, offset_arg=3),
    abi.SYS_PREADV2: Form(_IN, vectored=True, offset_arg=3, flags_arg=5),
    abi.SYS_PWRITEV2: Form(_OUT, vectored=True, offset_arg=3, flags_arg=5),
}


class DirectIo:
    """Turns requests into transfers, and transfers into results."""

    def __init__(
        self,
        kernel: Kernel,
        framing: Framing,
        adoption: Adoption,
        schedule: Schedule,
        stats: Stats,
        violations: list[Violation],
    ) -> None:
        self._kernel = kernel
        self._framing = framing
        self._adoption = adoption
        self._schedule = schedule
        self._stats = stats
        self._violations = violations
        self._staging = Staging()

    def request_of(self, task: Task, nr: int, args: tuple[int, ...]) -> Request | None:
        """What a call asks for, or None: it is the host kernel's."""
        form = FORMS[nr]
        buffers = self.pieces(task, args[1], args[2]) if form.vectored else [(args[1], args[2])]
        buffers = [piece for piece in buffers if piece[1]]
        offset = None
        if form.offset_arg is not None:
            offset = args[form.offset_arg]
            if offset >= 1 << 63:
                # preadv2 takes -1 for the file's own position; the rest is EINVAL.
                if form.flags_arg is None or offset != (1 << 64) - 1:
                    return None
                offset = None
        flags = signed(args[form.flags_arg]) if form.flags_arg is not None else 0
        return self.make_request(task, args[0], form.direction, buffers, offset, flags)

    def make_request(
        self,
        task: Task,
        fd: int,
        direction: Direction,
        buffers: Buffers,
        offset: int | None,
        flags: int = 0,
    ) -> Request | None:
        """A request that can be a transfer, or None: it is the host kernel's."""
        if not task.mm.is_emulated or not is_aligned(buffers) or fd & 0xFFFF_FFFF >= 1 << 31:
            return None
        own = tracee.getfd(task.pid, fd & 0xFFFF_FFFF, task.tid)
        return self.request_on(task, own, direction, buffers, offset, flags) if own >= 0 else None

    def request_on(
        self,
        task: Task,
        own: int,
        direction: Direction,
        buffers: Buffers,
        offset: int | None,
        flags: int,
    ) -> Request | None:
        """The same of a descriptor of ours, which is closed if it is None."""
        write = direction is Direction.FROM_DEVICE
        try:
            request = Request(own, direction, buffers, offset, flags)
            if (
                is_aligned(buffers)
                and is_direct(own)
                and all(
                    self._adoption.can_pin(task.mm, addr, length, write=write)
                    for addr, length in buffers
                )
                and (write or is_within_limit(task.pid, request))
            ):
                return request
        except BaseException:
            os.close(own)
            raise
        os.close(own)
        return None

    def pieces(self, task: Task, addr: int, count: int) -> Buffers:
        """An array of struct iovec; nothing, if it cannot be read."""
        if not 0 < count <= MAX_IOV:
            return []
        try:
            data = task.mm.memory.read(addr, 16 * count)
        except OSError:
            return []
        return [*struct.iter_unpack("=QQ", data)] if len(data) == 16 * count else []

    def submit(
        self, task: Task, request: Request, done: Callable[[int], None], *, waits: bool
    ) -> None:
        """Hold the pages and start the transfer.

        Args:
            done: is called with the result, a count or -errno, once it is over.
            waits: the task waits for it.
        """
        mm, write = task.mm, request.direction is Direction.FROM_DEVICE
        try:
            self._adoption.adopt(task, request.buffers, write=write)
            before = self._shown(mm, request.buffers)
            was_shared = self._schedule.any_shared(before.values())
            io = run(
                self._kernel.io.dio_submit(
                    task.cpu,
                    mm.mm,
                    request.buffers,
                    request.direction,
                    "o_direct",
                    aio=not waits,
                )
            )
        except Fault as fault:
            os.close(request.fd)
            self._framing.sync(mm, task)
            done(-fault.errno)
            return
        except InvariantError as broken:
            os.close(request.fd)
            if broken.kind != LIVELOCK:
                raise
            self._never_returns(mm, request, broken)
            self._framing.sync(mm, task)
            done(-errno.EFAULT)
            return
        except BaseException:
            os.close(request.fd)
            raise
        self._stats.transfers += 1
        try:
            self._framing.sync(mm, task)
            # To hold a page may be to write it, as far as others are concerned.
            for base, pfn in before.items():
                pte = self._framing.pte(mm, base)
                if pte is not None and pte.pfn != pfn:
                    self._schedule.wrote(mm, base, pfn)
        finally:
            # If the task died, too: what is held has to be given back.
            self._schedule.started(
                io,
                mm,
                lambda flight: done(self._move(task, flight, request)),
                direction=request.direction,
                waits=waits,
                was_shared=was_shared,
            )

    def submit_fixed(
        self,
        task: Task,
        request: Request,
        mm: ProgramMm,
        io: Registration,
        start: int,
        done: Callable[[int], None],
        *,
        over_fork: bool,
    ) -> None:
        """Start a transfer over a part of a registration, whose pages are held already.

        Args:
            mm: whose pages they are.
            start: where the part begins.
            over_fork: there was a fork since they are held.
        """
        self._stats.transfers += 1
        self._schedule.started(
            io,
            mm,
            lambda flight: done(self._move(task, flight, request, start)),
            direction=request.direction,
            waits=False,
            was_shared=over_fork,
            part=(start, request.length),
        )

    def _never_returns(self, mm: ProgramMm, request: Request, broken: InvariantError) -> None:
        """Under this policy the call would be in the kernel for ever: it is said, and fails."""
        addr, mm_id = request.buffers[0][0], mm.mm.id
        if not any((v.kind, v.mm) == (LIVELOCK, mm_id) for v in self._violations):
            why = broken.message
            text = f"{mm.mm.name}'s call would never return, and fails here with EFAULT: {why}"
            self._violations.append(
                Violation(LIVELOCK, mm_id, addr, request.length, None, text, ())
            )

    def _shown(self, mm: ProgramMm, buffers: Buffers) -> dict[int, int]:
        return {
            base: pte.pfn
            for addr, length in buffers
            for base in abi.page_range(addr, length)
            if (pte := self._framing.pte(mm, base)) is not None
        }

    def _move(self, task: Task, flight: Flight, request: Request, start: int = 0) -> int:
        """Move the bytes between the file and the frames, and give a transfer's pages back."""
        kernel, io = self._kernel, flight.io
        self._stats.transfers_over_fork += flight.over_fork
        self._stats.transfers_written_after += flight.written
        try:
            if request.direction is Direction.FROM_DEVICE:
                result = self._read(task, io, start, request)
            else:
                result = self._write(task, io, start, request)
        except OSError as error:
            result = -(error.errno or errno.EIO)
        finally:
            os.close(request.fd)
        if isinstance(io, Transfer):
            run(kernel.io.dio_complete(task.cpu, io))
        return result

    def _read(self, task: Task, io: Io, start: int, request: Request) -> int:
        views = self._staging.views(request.buffers)
        if request.offset is None and not request.flags:
            count = os.readv(request.fd, views)
        else:
            offset = -1 if request.offset is None else request.offset
            count = os.preadv(request.fd, views, offset, request.flags)
        data = b"".join(views)[:count] if len(views) > 1 else bytes(views[0][:count])
        if data:
            run(self._kernel.io.dma_write(task.cpu, io, start, data))
        return count

    def _write(self, task: Task, io: Io, start: int, request: Request) -> int:
        views = self._staging.views(request.buffers)
        data = memoryview(run(self._kernel.io.dma_read(task.cpu, io, start, request.length)))
        at = 0
        for view in views:
            view[:] = data[at : at + len(view)]
            at += len(view)
        if request.offset is None and not request.flags:
            return os.writev(request.fd, views)
        offset = -1 if request.offset is None else request.offset
        return os.pwritev(request.fd, views, offset, request.flags)
