"""vmsplice(2): pages of programs in pipes, and who takes them out.

The pipe is a real one. A page that is given to it becomes a frame first, and the
policy takes the reference; what the kernel then puts into the pipe is the frame
itself, so that whoever reads it finds what is in it by then. The reference ends
when the last of its bytes is read, or the pipe is gone.

Who takes bytes out is seen by the calls that do: read, readv, splice, tee, vmsplice
at the other end. What a process does through io_uring is seen when the pipe is empty.

Not modelled: who writes to the pipe at the very moment of a vmsplice; a pipe that
is on its way through a socket.

Source: vmsplice(2), splice(2), tee(2); Linux v6.1, fs/splice.c:vmsplice_to_pipe.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from typing import Final

from uemu import abi
from uemu.abi import Direction, page_range
from uemu.errors import Fault
from uemu.host import tracee
from uemu.host.tracee import Stop
from uemu.kernel import Kernel
from uemu.live.program.adoption import Adoption
from uemu.live.program.direct import DirectIo
from uemu.live.program.framing import Framing, can_act
from uemu.live.program.loader import Loader, NotLoaded
from uemu.live.program.pipe_files import Inode, Names, is_socket, pipe_of, unread_of
from uemu.live.program.pipe_queue import Hold, Piece, Pipe
from uemu.live.program.request import Buffers
from uemu.live.program.result import Stats
from uemu.live.program.schedule import Schedule, Watched
from uemu.live.program.tasks import Task
from uemu.live.program.tracees import Tracees
from uemu.step import Cpu, run

READS: Final = (abi.SYS_READ, abi.SYS_READV, abi.SYS_SPLICE, abi.SYS_TEE, abi.SYS_VMSPLICE)
"""Calls that take bytes out of a pipe, or look at them; all have it as first argument."""

OUTS: Final = {abi.SYS_SPLICE: 2, abi.SYS_TEE: 1}
"""Those that may put them into another pipe, and which argument that is."""

F_GETPIPE_SZ: Final = 1032


@dataclass(slots=True)
class Call:
    """A call under way that has to do with a pipe.

    Attributes:
        stop: as it was entered.
        pipe: which.
        given: what it is to put there; None: it takes something out.
        out: the pipe that it puts into what it takes out; None: none.
        is_sent: it puts it into a socket.
    """

    stop: Stop
    pipe: Inode
    given: list[Hold] | None = None
    out: Inode | None = None
    is_sent: bool = False


class Pipes:
    """The pipes that have ever been given pages."""

    def __init__(
        self,
        kernel: Kernel,
        tracees: Tracees,
        framing: Framing,
        adoption: Adoption,
        direct: DirectIo,
        schedule: Schedule,
        loader: Loader,
        stats: Stats,
    ) -> None:
        self._kernel = kernel
        self._tracees = tracees
        self._framing = framing
        self._adoption = adoption
        self._direct = direct
        self._schedule = schedule
        self._loader = loader
        self._stats = stats
        self._pipes: dict[Inode, Pipe] = {}
        self._names = Names(tracees)
        self._calls: dict[Task, Call] = {}
        self._is_watching = False
        self._sent: list[Hold] = []

    # Putting in ------------------------------------------------------------------------------

    def vmsplice(self, task: Task, stop: Stop) -> None:
        """vmsplice(2): of memory, the pages are held before the kernel takes them."""
        call = self._calls.get(task)
        if call is not None and call.stop.args == stop.args:
            # It was interrupted, or stops again since calls were made in its task.
            self._tracees.pass_call(task, tracee.TO_RETURN)
            return
        self.left(task)
        own = tracee.getfd(task.pid, stop.args[0] & 0xFFFF_FFFF, task.tid)
        buffers = self._direct.pieces(task, stop.args[1], stop.args[2])
        inode = pipe_of(task.pid, stop.args[0])
        try:
            if own < 0 or inode is None or not buffers:
                self._tracees.pass_call(task)
                return
            if fcntl.fcntl(own, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
                self._framing.break_cow(task, buffers)
                self.takes_out(task, stop)
                self._tracees.pass_call(task, tracee.TO_RETURN)
                return
            most, unread = fcntl.fcntl(own, F_GETPIPE_SZ) // abi.PAGE_SIZE, unread_of(own)
        finally:
            if own >= 0:
                os.close(own)
        self._watch(task)
        pipe = self._pipes.setdefault(inode, Pipe())
        self._names.note(inode, task.pid, stop.args[0])
        try:
            given = self._hold(task, buffers, most)
        except Fault as fault:
            self._tracees.return_from_call(task, -fault.errno)
            return
        pipe.fill(unread)
        pipe.users += 1
        self._calls[task] = Call(stop, inode, given)
        self._tracees.pass_call(task, tracee.TO_RETURN)

    def _hold(self, task: Task, buffers: Buffers, most: int) -> list[Hold]:
        """Take references to pages, as many as a pipe has room for at most.

        Raises:
            Fault: EFAULT, the first is not there.
        """
        given: list[Hold] = []
        for base, addr, length in _by_page(buffers)[:most]:
            if not self._adoption.can_pin(task.mm, addr, length, write=False):
                # Shared memory, or the kernel's to refuse: nothing behind it is ours.
                break
            before = self._framing.pte(task.mm, base)
            try:
                given.append(self._take(task, addr, length))
            except Fault:
                if not given:
                    raise
                break
            after = self._framing.pte(task.mm, base)
            if before is not None and after is not None and before.pfn != after.pfn:
                self._schedule.wrote(task.mm, base, before.pfn)
        return given

    def _take(self, task: Task, addr: int, length: int) -> Hold:
        self._adoption.adopt(task, [(addr, length)], write=False)
        mm, io = task.mm.mm, self._kernel.io
        pte = self._framing.pte(task.mm, addr & abi.PAGE_MASK)
        was_shared = pte is not None and self._schedule.any_shared([pte.pfn])
        pages = [(addr, length)]
        transfer = run(
            io.dio_submit(task.cpu, mm, pages, Direction.TO_DEVICE, "vmsplice", aio=True)
        )
        try:
            self._framing.sync(task.mm, task)
        except BaseException:
            run(io.dio_complete(task.cpu, transfer))
            raise
        watched = Watched(task.mm, task.mm.nr_children, was_shared)
        self._schedule.watch(transfer, watched)
        self._stats.transfers += 1
        return Hold(transfer, watched, 1)

    def _watch(self, task: Task) -> None:
        """From the first page in a pipe on, all processes stop where they may take it out.

        Who waits for it already begins anew.
        """
        if self._is_watching:
            return
        self._is_watching = True
        mms = list(self._framing.mms)
        frozen = self._tracees.freeze(mms, task)
        try:
            tasks = [each for mm in mms for each in mm.tasks if can_act(each)]
            for actor in {each.pid: each for each in [*tasks, task]}.values():
                with contextlib.suppress(NotLoaded):
                    self._loader.watch_pipes(self._tracees, actor)
        finally:
            self._tracees.thaw(frozen)

    # Taking out ------------------------------------------------------------------------------

    def takes_out(self, task: Task, stop: Stop) -> bool:
        """Whether a call that is entered may take bytes out of a pipe, so that its end counts."""
        if not self._is_watching or stop.nr not in READS:
            return False
        self.left(task)
        inode = pipe_of(task.pid, stop.args[0])
        if inode is None:
            return False
        out = pipe_of(task.pid, stop.args[OUTS[stop.nr]]) if stop.nr in OUTS else None
        if out is not None:
            self._names.note(out, task.pid, stop.args[OUTS[stop.nr]])
            target = self._pipes.setdefault(out, Pipe())
            target.fill(self._names.unread_of(out))
            target.users += 1
        self._pipes.setdefault(inode, Pipe()).users += 1
        is_sent = stop.nr == abi.SYS_SPLICE and is_socket(task.pid, stop.args[2])
        self._calls[task] = Call(stop, inode, None, out, is_sent)
        return True

    def returned(self, task: Task) -> None:
        """A call is over, or about to be made again."""
        call, stop = self._calls.get(task), task.stop
        if call is None or stop is None:
            return
        result = stop.msg if stop.msg < 1 << 63 else stop.msg - (1 << 64)
        if result <= -512:
            # ERESTARTSYS and its like.
            return
        del self._calls[task]
        if call.given is not None:
            self._give(call, max(result, 0))
        elif result > 0:
            self._take_out(task, call, result)
        self._is_over(call)

    def _is_over(self, call: Call) -> None:
        """Of most pipes there is nothing to be remembered."""
        for inode in (call.pipe, call.out):
            if inode is not None:
                pipe = self._pipes[inode]
                pipe.users -= 1
                if not pipe.pieces and not pipe.users:
                    del self._pipes[inode]
                    self._names.forget(inode)

    def _give(self, call: Call, count: int) -> None:
        """The first ``count`` bytes of what was to be given are in the pipe."""
        assert call.given is not None
        pipe = self._pipes[call.pipe]
        for hold in call.given:
            length = min(count, hold.io.length)
            if length:
                pipe.put(Piece(length, hold))
                count -= length
            hold.pieces -= 1
            self._let_go(hold)

    def _take_out(self, task: Task, call: Call, count: int) -> None:
        """Bytes were read, or went on to another pipe; what was read is compared."""
        pipe = self._pipes[call.pipe]
        taken, at = list(pipe.peek(count)), 0
        data = self._received(task, call.stop, count)
        if call.out is not None:
            for piece in taken:
                self._pipes[call.out].put(piece)
        if call.stop.nr != abi.SYS_TEE:
            pipe.take(count)
        for piece in taken:
            if piece.hold is not None:
                if call.out is None:
                    self._read(task.cpu, piece, data[at : at + piece.length])
                if call.is_sent:
                    # A socket has the page itself, who knows for how long.
                    piece.hold.pieces += 1
                    self._sent.append(piece.hold)
                self._let_go(piece.hold)
            at += piece.length

    def _received(self, task: Task, stop: Stop, count: int) -> bytes:
        """What a reader has got."""
        buffers = [(stop.args[1], count)]
        if stop.nr in OUTS:
            return b""
        if stop.nr != abi.SYS_READ:
            buffers = self._direct.pieces(task, stop.args[1], stop.args[2])
        data = b""
        with contextlib.suppress(OSError):
            for addr, length in buffers:
                data += task.mm.memory.read(addr, min(length, count - len(data)))
        return data

    def _read(self, cpu: Cpu, piece: Piece, data: bytes) -> None:
        """Announce that bytes of a frame are read, if it is those that the reader has got.

        A store that came after the read is not what was read.
        """
        assert piece.hold is not None
        io = piece.hold.io
        (chunk,) = io.chunks(piece.start, piece.length)
        now = self._kernel.frames.read(chunk.pfn, chunk.offset, chunk.length)
        if not data or data == now:
            run(self._kernel.io.dma_read(cpu, io, piece.start, piece.length))

    def _let_go(self, hold: Hold) -> None:
        """Give a page back that is in no pipe any more."""
        if not hold.pieces and hold.io.live:
            self._schedule.unwatch(hold.io, hold.watched)
            self._stats.transfers_over_fork += hold.watched.over_fork
            self._stats.transfers_written_after += hold.watched.written
            run(self._kernel.io.dio_complete(Cpu("pipe"), hold.io))

    # Time and ends ---------------------------------------------------------------------------

    @property
    def is_waiting(self) -> bool:
        """Whether any pipe has a page."""
        return any(pipe.pieces for pipe in self._pipes.values())

    def tick(self) -> None:
        """See which pipes are empty, or gone."""
        for task in [task for task in self._calls if not self._is_there(task)]:
            self.left(task)
        for inode, pipe in list(self._pipes.items()):
            if not pipe.pieces or pipe.users:
                continue
            unread = self._names.unread_of(inode)
            if unread <= 0:
                self._empty(inode, was_read=unread == 0)

    def _is_there(self, task: Task) -> bool:
        return self._tracees.tasks.get(task.tid) is task

    def _empty(self, inode: Inode, *, was_read: bool) -> None:
        pipe = self._pipes[inode]
        pieces = list(pipe.peek(pipe.length))
        pipe.take(pipe.length)
        for piece in pieces:
            if piece.hold is not None:
                if was_read:
                    self._read(Cpu("pipe"), piece, b"")
                self._let_go(piece.hold)

    def left(self, task: Task) -> None:
        """A task is not in its call any more: it ended, or a signal came instead."""
        call = self._calls.pop(task, None)
        if call is not None:
            if call.given is not None:
                self._give(call, 0)
            self._is_over(call)

    def end_all(self) -> None:
        """Everybody is gone, and all pipes."""
        for task in list(self._calls):
            self.left(task)
        for inode in list(self._pipes):
            self._empty(inode, was_read=False)
        for hold in self._sent:
            hold.pieces -= 1
            self._let_go(hold)


def _by_page(buffers: Buffers) -> list[tuple[int, int, int]]:
    """Page address, and address and length of what lies in it."""
    pieces = []
    for addr, length in buffers:
        for base in page_range(addr, length):
            start = max(addr, base)
            pieces.append((base, start, min(addr + length, base + abi.PAGE_SIZE) - start))
    return pieces
